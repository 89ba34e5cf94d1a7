#include "sys/capture.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace circus::sys {

Result<UniqueFd> make_capture(std::size_t size) {
    UniqueFd fd(::memfd_create("circus-hook", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return sys_error("cannot make room for the output", errno);
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        return sys_error("cannot make room for the output", errno);
    return fd;
}

std::string read_capture(int fd) {
    struct stat is {};
    if (::fstat(fd, &is) != 0) return {};
    std::string text(static_cast<std::size_t>(is.st_size), '\0');
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(got > 0 ? got : 0));
    if (const auto end = text.find('\0'); end != std::string::npos) text.resize(end);
    return text;
}

}  // namespace circus::sys
