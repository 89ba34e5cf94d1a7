// pidfd_open(2) and pidfd_send_signal(2): a process by a handle that is never somebody else's.
#pragma once

#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

Result<UniqueFd> open_pidfd(pid_t pid);
// 0, or the errno: ESRCH once it was reaped.
int signal_pidfd(int pidfd, int signo);

}  // namespace circus::sys
