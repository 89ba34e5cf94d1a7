// What follows from the memory that a watcher's processes use. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace circus::model {

struct MemoryLimits {
    std::uint64_t soft = 0;  // 0: none
    std::uint64_t max = 0;
};

struct MemoryUse {
    std::uint64_t bytes = 0;  // resident, descendants included
    bool leaving = false;     // outdated, condemned or on its way out
};

struct MemoryVerdict {
    std::vector<std::size_t> kill;       // over max
    std::optional<std::size_t> replace;  // over soft
};

// All that are over max. Over soft one at a time, the one that uses most, and none while another one is being
// replaced: each replacement needs its own share beside the old one.
MemoryVerdict judge(const std::vector<MemoryUse>& processes, const MemoryLimits& limits);

}  // namespace circus::model
