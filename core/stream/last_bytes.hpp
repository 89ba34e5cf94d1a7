// LastBytes: the end of what came from a pipe, for whoever asks what a process wrote last. Passive; takes
// memory as bytes come, and no more than kMax of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace circus::stream {

class LastBytes {
  public:
    // One more than what is kept of it, so that it is seen whether a line was cut.
    static constexpr std::size_t kMax = 1793;

    void take(std::string_view bytes) {
        bytes.remove_prefix(bytes.size() - std::min(bytes.size(), kMax));
        const std::size_t surplus = text_.size() + bytes.size() - std::min(text_.size() + bytes.size(), kMax);
        text_.erase(0, surplus);
        text_ += bytes;
    }
    std::string text() && { return std::move(text_); }

  private:
    std::string text_;
};

}  // namespace circus::stream
