// A yes or a no as people and Circus's tools write it.
#pragma once

#include <optional>
#include <string_view>

#include "base/text.hpp"

namespace circus {

// yes, true, on, 1 and their opposites, in any case; nullopt: neither.
inline std::optional<bool> parse_truth(std::string_view text) {
    for (const char* yes : {"yes", "true", "on", "1"})
        if (equals_ignoring_case(text, yes)) return true;
    for (const char* no : {"no", "false", "off", "0"})
        if (equals_ignoring_case(text, no)) return false;
    return std::nullopt;
}

}  // namespace circus
