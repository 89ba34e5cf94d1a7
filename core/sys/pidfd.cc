#include "sys/pidfd.hpp"

#include <cerrno>
#include <sys/syscall.h>

#include "base/text.hpp"

namespace circus::sys {

// syscall(2) on purpose: glibc has wrappers only since 2.36. The descriptor is born CLOEXEC (pidfd_open(2)).
Result<UniqueFd> open_pidfd(pid_t pid) {
    const auto fd = ::syscall(SYS_pidfd_open, pid, 0U);
    if (fd < 0) return sys_error(cat("cannot open a pidfd of process ", pid), errno);
    return UniqueFd(static_cast<int>(fd));
}

int signal_pidfd(int pidfd, int signo) {
    return ::syscall(SYS_pidfd_send_signal, pidfd, signo, nullptr, 0U) == 0 ? 0 : errno;
}

}  // namespace circus::sys
