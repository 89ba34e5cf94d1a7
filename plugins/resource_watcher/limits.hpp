// Limits: how much is too much or too little, and how often in a row it was. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace resource_watcher {

// What was measured of a process, or of all of a watcher's; nothing: not known.
struct Figures {
    std::optional<double> cpu;    // per cent of one core
    std::optional<double> mem;    // per cent of all memory
    std::optional<double> bytes;  // resident
};

struct Limits {
    std::optional<double> max_cpu, min_cpu, max_mem, min_mem, max_bytes, min_bytes, health;
};

enum class Fault { OverCpu, UnderCpu, OverMemory, UnderMemory, OverHealth };
inline constexpr std::size_t kFaults = 5;
inline constexpr std::array<std::string_view, kFaults> kFaultNames{"over_cpu", "under_cpu", "over_memory",
                                                                   "under_memory", "over_health"};

// Which limits these figures break.
inline std::array<bool, kFaults> faults_of(const Figures& f, const Limits& l) {
    const auto over = [](auto value, auto limit) { return value && limit && *value > *limit; };
    const auto under = [](auto value, auto limit) { return value && limit && *value < *limit; };
    const bool idle = f.cpu && l.min_cpu && *f.cpu <= *l.min_cpu;
    const bool ill = f.cpu && f.mem && l.health && (*f.cpu + *f.mem) / 2 > *l.health;
    return {over(f.cpu, l.max_cpu), idle, over(f.mem, l.max_mem) || over(f.bytes, l.max_bytes),
            under(f.mem, l.min_mem) || under(f.bytes, l.min_bytes), ill};
}

// Looks in a row at which each limit was broken.
class Counts {
  public:
    // The fault that has now been there in more than `most` looks in a row.
    std::optional<Fault> add(const std::array<bool, kFaults>& faults, int most) {
        std::optional<Fault> due;
        for (std::size_t i = 0; i < kFaults; ++i) {
            counts_[i] = faults[i] ? counts_[i] + 1 : 0;
            if (counts_[i] > most && !due) due = static_cast<Fault>(i);
        }
        return due;
    }
    void reset() { counts_ = {}; }

  private:
    std::array<int, kFaults> counts_{};
};

}  // namespace resource_watcher
