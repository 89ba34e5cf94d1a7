// LineWatch: looks for the first line that a pattern matches in what one pipe gives, whoever gets the lines.
// Passive; the pump's thread only.
#pragma once

#include <string>
#include <string_view>

#include "base/pattern.hpp"

namespace circus::stream {

class LineWatch {
  public:
    explicit LineWatch(Pattern pattern) : pattern_(std::move(pattern)) {}

    // Takes what came from the pipe. True: a line of it, or that ends in it, matches; the watch is over then.
    bool take(std::string_view bytes);

  private:
    // Of a line that is longer only so much is looked at.
    static constexpr std::size_t kMaxWatched = 8192;

    bool matches(std::string_view line) const;

    Pattern pattern_;
    std::string partial_;
};

}  // namespace circus::stream
