#include "stream/line_watch.hpp"

#include <algorithm>

namespace circus::stream {

bool LineWatch::matches(std::string_view line) const {
    if (line.ends_with('\r')) line.remove_suffix(1);
    return pattern_.matches_part_of(line.substr(0, kMaxWatched));
}

bool LineWatch::take(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        if (end == std::string_view::npos || !partial_.empty())
            partial_ += part.substr(0, kMaxWatched - std::min(kMaxWatched, partial_.size()));
        if (end == std::string_view::npos) return false;
        if (matches(partial_.empty() ? part : std::string_view(partial_))) return true;
        partial_.clear();
        bytes.remove_prefix(end + 1);
    }
    return false;
}

}  // namespace circus::stream
