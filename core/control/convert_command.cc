#include "control/convert_command.hpp"

#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/new_file.hpp"
#include "control/output.hpp"
#include "convert/convert.hpp"

namespace circus::control {

int run_convert(const Json& properties) {
    std::optional<convert::Format> format;
    if (const std::string from = properties.value("from", ""); !from.empty()) {
        format = convert::find_format(from);
        if (!format)
            return complain(cat("circusctl: no such format: ", py_repr(from),
                                "; there are circus, supervisor, procfile, pm2"),
                            Exit::Usage);
    }
    const auto converted = convert::convert(properties.value("file", ""), format);
    for (const auto& problem : converted.problems) complain(problem.to_string(), Exit::Failed);
    if (!converted.problems.empty()) return static_cast<int>(Exit::Failed);
    const std::string output = properties.value("output", "-");
    if (output == "-") {
        std::fwrite(converted.toml.data(), 1, converted.toml.size(), stdout);
        return static_cast<int>(std::fflush(stdout) == 0 ? Exit::Ok : Exit::Failed);
    }
    const Status written = write_new_file(output, converted.toml);
    return written ? static_cast<int>(Exit::Ok) : complain(written.error().text, Exit::Failed);
}

}  // namespace circus::control
