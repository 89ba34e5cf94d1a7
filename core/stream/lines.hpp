// Text that is made of lines: how many it has, and one that came in two pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace circus::stream {

// In steps of which a byte can hold the sum, so that the compiler makes vectors of them: all that is written
// passes here.
inline std::size_t count_newlines(std::string_view text) {
    constexpr std::size_t kStep = 128;
    std::size_t count = 0;
    for (; text.size() >= kStep; text.remove_prefix(kStep)) {
        unsigned char found = 0;
        for (std::size_t i = 0; i < kStep; ++i)
            found = static_cast<unsigned char>(found + (text[i] == '\n' ? 1 : 0));
        count += found;
    }
    return count + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Calls `take` with the line that began in `first`, whole, and with all that is behind it.
template <class Take>
void each_text(std::string_view first, std::string_view second, const Take& take) {
    if (!first.empty()) {
        const std::size_t newline = second.find('\n');
        const std::size_t end = newline == second.npos ? second.size() : newline + 1;
        std::string joined(first);
        joined += second.substr(0, end);
        take(std::string_view(joined));
        second.remove_prefix(end);
    }
    if (!second.empty()) take(second);
}

}  // namespace circus::stream
