// What is looked up of a process only when somebody asks for it, because it costs the kernel much: threads,
// open descriptors, and the proportional set size. Takes long where there is much memory: not for the loop.
#pragma once

#include <string>
#include <sys/types.h>

namespace circus::stats {

// As members of the process object: "threads":4,"fds":12,"pss":1384448 (bytes). A figure that this circusd
// may not have is null, and "absent" says why: {"pss":"/proc/7/smaps_rollup: Permission denied"}. Empty:
// there is no such process. Any thread.
std::string details_of(pid_t pid);

}  // namespace circus::stats
