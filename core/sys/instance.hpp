// The instance's mark: every worker carries CIRCUS_INSTANCE=<instance>.<child> in its environment, and what
// it forks inherits it. By the mark a stack's processes are found when nobody's child any more.
#pragma once

#include <string_view>
#include <sys/types.h>
#include <vector>

namespace circus::sys {

inline constexpr std::string_view kInstanceVariable = "CIRCUS_INSTANCE";

// Every process whose environment (as it was at exec) carries the mark of `instance`. A walk over /proc: not
// for the loop's everyday.
std::vector<pid_t> processes_of(std::string_view instance);

// SIGKILL to all of them until none is left, two seconds at the most. Each is looked at again through a pidfd
// before it is signalled, so a pid that changed hands meanwhile is spared. True: none is left.
bool kill_instance(std::string_view instance);

}  // namespace circus::sys
