// The process object of Circus's `stats`, `dstats` and of the stats stream (protocol.md, section 4).
//
// Passive and without a clock: who looks brings the time. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "sys/procfs.hpp"

namespace circus::stats {

// Remembers the last look at each process, because cpu is the share of one core since then (first look: 0.0).
class ProcessLooks {
  public:
    // nullopt: there is no such process. `now` is the monotonic clock, `wall` seconds since the epoch.
    // with_children adds the direct children as objects in `children` (else []).
    // A look less than 100 ms after the one before repeats its cpu: the kernel counts in steps of 10 ms.
    std::optional<Json> look(pid_t pid, TimePoint now, double wall, bool with_children);
    // Drops what was not looked at in the ten minutes before the latest look. look() does it by itself now
    // and then.
    void forget_gone();
    std::size_t remembered() const { return last_.size(); }

  private:
    struct Last {
        std::uint64_t start_ticks = 0;
        std::uint64_t cpu_us = 0;
        double cpu = 0;        // percent, as answered
        TimePoint measured{};  // when cpu_us was read
        TimePoint looked{};
    };
    double cpu_since_last(const sys::ProcessFigures& figures, TimePoint now);

    std::map<pid_t, Last> last_;
    TimePoint latest_{};
    TimePoint next_sweep_{};
};

// "M:SS.d": minutes of the hour, seconds, and the first two digits (or one) of the microseconds, not padded.
std::string ctime_text(std::uint64_t cpu_us);

// The text that stands in the place of the object of a process that vanished.
inline constexpr const char* kVanished = "No such process (stopped?)";

}  // namespace circus::stats
