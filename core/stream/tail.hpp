// Tail: some of the lines that a Ring or LastLines keep, and the question for them. Data alone: control asks,
// supervise passes it on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace circus::stream {

constexpr std::size_t kMaxAnswer = 1024 * 1024;  // bytes of text in one Tail, or one line

struct TailQuery {
    std::size_t lines = 100;        // at the most
    std::optional<pid_t> pid = {};  // of this process alone
    std::string cursor = {};        // empty: the last ones
};

struct Tail {
    struct Line {
        pid_t pid = 0;
        double time = 0;   // when it came, seconds since the epoch
        std::string text;  // without its newline
    };
    std::vector<Line> lines;    // oldest first
    std::string cursor;         // behind the last of them
    std::uint64_t skipped = 0;  // overwritten since the cursor that was given
};

}  // namespace circus::stream
