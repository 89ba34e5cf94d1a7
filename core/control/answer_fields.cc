#include "control/answer_fields.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/python_text.hpp"

namespace circus::control {

namespace {

std::string environment(const Json& env) {
    std::vector<std::string> texts;
    for (const auto& [key, value] : env.items()) texts.push_back(key + "=" + str(value));
    return join(texts, ",");
}

}  // namespace

const Json& field(const Json& object, const char* name) {
    static const Json kMissing;
    if (!object.is_object()) return kMissing;
    const auto at = object.find(name);
    return at == object.end() ? kMissing : *at;
}

std::vector<std::pair<std::string, const Json*>> by_pid(const Json& object) {
    std::vector<std::pair<std::string, const Json*>> rows;
    if (!object.is_object()) return rows;
    for (const auto& [pid, info] : object.items()) rows.emplace_back(pid, &info);
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
        return parse_int(a.first).value_or(0) < parse_int(b.first).value_or(0);
    });
    return rows;
}

std::string option_text(const std::string& key, const Json& value) {
    if (value.is_null()) return {};
    return key == "env" && value.is_object() ? environment(value) : str(value);
}

std::vector<std::pair<std::string, const Json*>> options_asked(const Json& answer, const Json& asked) {
    std::vector<std::pair<std::string, const Json*>> rows;
    const Json& options = field(answer, "options");
    if (!options.is_object()) return rows;
    for (const auto& key : field(asked, "keys")) {
        const auto at = key.is_string() ? options.find(key.get<std::string>()) : options.end();
        if (at != options.end()) rows.emplace_back(at.key(), &*at);
    }
    return rows;
}

std::string address_of(const Json& socket) {
    const Json& path = field(socket, "path");
    return path.is_null() ? cat(str(field(socket, "host")), ":", str(field(socket, "port"))) : str(path);
}

}  // namespace circus::control
