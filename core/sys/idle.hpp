// Whether a process has work in hand, as its descriptors tell, and whether it stands still.
#pragma once

#include <cstdint>
#include <set>
#include <sys/types.h>

namespace circus::sys {

// Has it, or a descendant of it, a descriptor of one of these sockets? Also true where that cannot be seen.
bool holds_any(pid_t pid, const std::set<std::uint32_t>& inodes);

// Do all its threads stand still, by SIGSTOP? Each does so when it next leaves the kernel, which takes it a
// processor: on a busy machine some time after the signal.
bool stands_still(pid_t pid);

}  // namespace circus::sys
