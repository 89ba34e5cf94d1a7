// OutputCount: how much a watcher has written to one of its outputs, and how much of it was dropped because
// the target did not take it. Only grows. The pump's thread counts, any thread reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace circus::stream {

struct OutputCount {
    std::atomic<std::uint64_t> bytes{0}, dropped{0};
};

}  // namespace circus::stream
