// Tally: what became of a watcher's processes since circusd was started. Only grows. Kept by Deaths, from
// arbiter to arbiter; whoever shows figures reads.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

namespace circus::supervise {

// Why a process ended whose place another one takes.
enum class Replaced { No, Died, Memory, NotReady, MaxAge, Reload, Restart, Kill };

constexpr std::size_t kReplaced = 8;

constexpr std::string_view to_string(Replaced why) {
    switch (why) {
        case Replaced::No:
            return "no";
        case Replaced::Died:
            return "died";
        case Replaced::Memory:
            return "memory";
        case Replaced::NotReady:
            return "not_ready";
        case Replaced::MaxAge:
            return "max_age";
        case Replaced::Reload:
            return "reload";
        case Replaced::Restart:
            return "restart";
        case Replaced::Kill:
            return "kill";
    }
    return "no";
}

struct Tally {
    struct Ends {
        std::uint64_t asked = 0, unasked = 0;  // by circusd, or not
    };
    std::uint64_t spawned = 0, spawns_failed = 0;
    std::array<std::uint64_t, kReplaced> replaced{};  // by Replaced
    std::chrono::microseconds cpu{};  // of those that ended, with the children that they had waited for
    std::map<int, Ends> ended;        // by exit code, or minus the number of the signal
};

}  // namespace circus::supervise
