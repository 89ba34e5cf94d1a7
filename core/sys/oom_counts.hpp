// OomCounts: how many processes the kernel has killed because there was no memory left. It counts before it
// kills. Thread-safe; waits for nothing but the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace circus::sys {

class OomCounts {
  public:
    struct Kills {
        std::optional<std::uint64_t> here;     // of this process's control group, which its children share
        std::optional<std::uint64_t> machine;  // and of the whole machine
    };
    // Finds out which files tell, and keeps them open: a look is one read of each. A test gives files of its
    // own.
    OomCounts();
    OomCounts(const std::string& here, const std::string& machine);

    // What is not told is left out.
    Kills read() const;

  private:
    UniqueFd here_, machine_;  // none: nothing tells
};

// The number behind "oom_kill" in a file of lines "NAME NUMBER".
std::optional<std::uint64_t> oom_kills_in(std::string_view text);

}  // namespace circus::sys
