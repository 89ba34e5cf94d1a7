#include "control/new_file.hpp"

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <unistd.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace circus::control {

Status write_new_file(const std::string& path, std::string_view text, mode_t mode) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!file && errno == EEXIST)
        return Error{cat(path, ": exists already; name another file, or remove it")};
    if (!file) return sys_error(cat(path, ": cannot be written"), errno);
    for (std::size_t at = 0; at < text.size();) {
        const ssize_t written = ::write(file.get(), text.data() + at, text.size() - at);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            const Error error = sys_error(cat(path, ": cannot be written"), errno);
            ::unlink(path.c_str());
            return error;
        }
        at += static_cast<std::size_t>(written);
    }
    return Ok{};
}

}  // namespace circus::control
