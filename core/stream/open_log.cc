#include "stream/open_log.hpp"

#include <cerrno>
#include <fcntl.h>

#include "base/text.hpp"
#include "sys/trusted_path.hpp"

namespace circus::stream {

namespace {

constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr mode_t kMode = 0644;

}  // namespace

Result<UniqueFd> open_log(const std::string& path) {
    auto opened = sys::open_trusted(path, kFlags, kMode);
    if (opened) return opened;
    const int why = opened.error().code;
    if (why == ELOOP) return Error{cat("cannot open \"", path, "\": ", opened.error().text), why};
    return sys_error(cat("cannot open \"", path, "\""), why);
}

}  // namespace circus::stream
