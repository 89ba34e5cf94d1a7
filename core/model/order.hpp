// In which order several watchers are started: higher priority first, and within one as they are given, but
// nobody before those it depends on. Groups: within one nobody depends on another; who is stopped goes
// through them backwards, a group after the one behind it is gone. Pure.
#pragma once

#include <cstddef>
#include <vector>

namespace circus::model {

struct Ordered {
    int priority = 0;
    std::vector<std::size_t> depends_on;  // indices; what is not among those to be ordered is left out
};

// Indices into `all`. Of a cycle, which no configuration can have, the rest follows in the last group.
std::vector<std::vector<std::size_t>> in_groups(const std::vector<Ordered>& all);

}  // namespace circus::model
