// ProcessLooks: the process object of Circus's `stats`, `dstats` and of the stats stream (protocol.md,
// section 4), as text: a look at 500 processes is made each second, and to build it as a tree would cost more
// than the kernel takes for the figures.
//
// Passive and without a clock: who looks brings the time. One thread at a time. A process that is looked at
// again within kKeepOpen has its /proc/PID/stat kept open, so that a look is one read; rest() closes those
// that nobody looks at any more.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "sys/procfs.hpp"

namespace circus::stats {

// Remembers the last look at each process, because cpu is the share of one core since then (first look: 0.0).
class ProcessLooks {
  public:
    static constexpr auto kKeepOpen = std::chrono::seconds(5);
    // Descriptors: the others are opened each time. By default a quarter of what this process may have.
    ProcessLooks() : ProcessLooks(sys::descriptor_limit() / 4) {}
    explicit ProcessLooks(std::size_t most_open) : most_open_(most_open) {}

    // What the caller knows of a process beyond its figures.
    struct Beside {
        std::string_view members;   // JSON, to stand in the object: "wid":1,"started":1.5
        std::optional<double> age;  // in place of the one that the kernel knows
    };
    // Appends the object. False: there is no such process, and nothing was appended. `now` is the monotonic
    // clock, `wall` seconds since the epoch.
    // with_children adds the direct children as objects in `children` (else []).
    // A look less than 100 ms after the one before repeats its cpu: the kernel counts in steps of 10 ms.
    bool append(std::string& out, pid_t pid, TimePoint now, double wall, bool with_children,
                const Beside& beside);
    // The same, parsed; nullopt: there is no such process.
    std::optional<Json> look(pid_t pid, TimePoint now, double wall, bool with_children);
    // Drops what was not looked at in the ten minutes before the latest look. look() does it by itself now
    // and then.
    void forget_gone();
    // Closes the files of processes that were not looked at for kKeepOpen. To be called now and then, also
    // while nobody looks; costs nothing while there are none.
    void rest(TimePoint now);
    std::size_t remembered() const { return last_.size(); }
    std::size_t kept_open() const { return open_; }

  private:
    struct Last {
        std::uint64_t start_ticks = 0;
        std::uint64_t cpu_us = 0;
        double cpu = 0;        // percent, as answered
        TimePoint measured{};  // when cpu_us was read
        TimePoint looked{};
        TimePoint named{};  // when uid and argv0 were read
        std::string comm;
        std::string cmdline, username;  // JSON texts, quoted
        std::optional<sys::StatFile> file;
    };
    std::optional<sys::ProcessFigures> read(Last& last, pid_t pid, TimePoint now, double wall);
    static bool read_names(Last& last, pid_t pid, TimePoint now);
    static void measure(Last& last, const sys::ProcessFigures& figures, TimePoint now);
    void append_children(std::string& out, const sys::ProcessFigures& figures, TimePoint now, double wall);
    double memory_percent(std::uint64_t rss_bytes, TimePoint now);
    void close(Last& last);
    void forget(std::map<pid_t, Last>::iterator at);

    const std::size_t most_open_;
    std::map<pid_t, Last> last_;
    std::size_t open_ = 0;
    TimePoint latest_{};
    TimePoint next_sweep_{}, next_rest_{};
    double total_memory_ = 0;  // bytes
    TimePoint total_read_{};
};

// "M:SS.d": minutes of the hour, seconds, and the first two digits (or one) of the microseconds, not padded.
std::string ctime_text(std::uint64_t cpu_us);

// JSON: what is no UTF-8 is replaced. A fraction has its point: 0.0.
std::string quoted(const std::string& text);
void append_float(std::string& out, double value);

// The text that stands in the place of the object of a process that vanished.
inline constexpr const char* kVanished = "No such process (stopped?)";

}  // namespace circus::stats
