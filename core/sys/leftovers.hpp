// Leftovers: the processes of an instance whose keeper and arbiter were both killed, on their way to be gone.
// Each child gets its stop signal; when it has ended, or after its graceful_timeout, SIGKILL to what is left
// of it, descendants included. Passive: look() again and again until it finds none.
//
// A process is one of them if it carries the instance's mark, or is a child of its rows by pid and start time
// (whose mark may be overwritten: programs that show a title do that), or descends from one. It is signalled
// through a pidfd after another look, so never one that has its number by now.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "sys/instance_file.hpp"

namespace circus::sys {

class Leftovers {
  public:
    // `rows`: those of the instance's children; a process of another one gets ChildRow's defaults.
    Leftovers(std::string instance, std::vector<ChildRow> rows);

    // What is there at `now`; who is due is signalled.
    std::vector<PidRef> look(TimePoint now);
    // Since when nothing is left to do but to wait for SIGKILL to take effect; none: there is.
    std::optional<TimePoint> killed_since() const { return killed_since_; }

  private:
    struct Family {
        PidRef leader;  // who got the stop signal
        TimePoint kill_at;
    };
    std::vector<Marked> find() const;
    void stop(std::uint64_t child, const std::vector<PidRef>& members, TimePoint now);

    const std::string instance_;
    std::map<std::uint64_t, ChildRow> rows_;
    std::map<std::uint64_t, Family> families_;
    std::optional<TimePoint> killed_since_;
    bool is_waiting_ = false;  // in this look: somebody has time yet
};

}  // namespace circus::sys
