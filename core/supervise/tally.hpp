// Tally: what became of a watcher's processes, counted since this arbiter has it. Only grows. Its Watcher
// counts; whoever shows figures reads.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <sys/resource.h>

#include "base/clock.hpp"

namespace circus::supervise {

// Why a process ended whose place another one takes.
enum class Replaced { No, Died, Memory, NotReady, MaxAge, Reload, Restart, Kill };

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
    std::map<int, Ends> ended;  // by exit code, or minus the number of the signal
    std::map<Replaced, std::uint64_t> replaced;
    Duration cpu{};  // of those that ended, with the children that they had waited for

    void count_end(int code, bool asked, Replaced why, const rusage& usage) {
        auto& ends = ended[code];
        ++(asked ? ends.asked : ends.unasked);
        if (why != Replaced::No) ++replaced[why];
        for (const timeval& time : {usage.ru_utime, usage.ru_stime})
            cpu += std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
    }
};

}  // namespace circus::supervise
