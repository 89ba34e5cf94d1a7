// The instance's mark: every worker carries CIRCUS_INSTANCE=<instance>.<child> in its environment, and what
// it forks inherits it. By the mark a stack's processes are found when nobody's child any more. <instance> is
// the keeper's "<pid>-<start time>", which no other process of this boot has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace circus::sys {

inline constexpr std::string_view kInstanceVariable = "CIRCUS_INSTANCE";

// A process as it was seen: with its start time (in ticks since boot) the number is nobody else's.
struct PidRef {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;
    bool operator==(const PidRef&) const = default;
};
// None: it is gone, or a zombie.
std::optional<PidRef> identify(pid_t pid);
bool is_alive(const PidRef& process);
// A signal to exactly that process, through a pidfd taken before it is looked at. False: it is gone.
bool signal_exactly(const PidRef& process, int signo);

// The keeper that an instance is named after; none: that is no instance's name.
std::optional<PidRef> keeper_of(std::string_view instance);

struct Marked {
    PidRef process;
    std::uint64_t child = 0;  // the number behind the dot
};
// Every process whose environment (as it was at exec) carries the mark of `instance`. A walk over /proc: not
// for the loop's everyday.
std::vector<Marked> processes_of(std::string_view instance);

// SIGKILL to all of them until none is left, two seconds at the most. Each is looked at again through a pidfd
// before it is signalled, so a pid that changed hands meanwhile is spared. True: none is left.
bool kill_instance(std::string_view instance);

}  // namespace circus::sys
