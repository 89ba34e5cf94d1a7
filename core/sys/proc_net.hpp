// Owners of sockets as /proc/net/tcp and tcp6 have them: for where sock_diag(7) is not there or not permitted
// (a sandbox, a kernel without it). Reads every connection of the machine's.
#pragma once

#include <sys/types.h>

#include "base/result.hpp"

namespace circus::sys {

// As owner_of_far_end() of sock_diag.hpp.
Result<uid_t> owner_of_far_end_by_proc(int connection);

}  // namespace circus::sys
