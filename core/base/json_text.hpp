// Reading JSON that somebody else has written.
//
// Building, copying and printing a value take stack or time by its depth: what is nested deeper than anybody
// needs is refused before anything is parsed. The text's own size bounds the rest.
#pragma once

#include <string_view>

#include "base/json.hpp"

namespace circus {

inline constexpr int kDeepestJson = 256;

bool is_too_deep(std::string_view text, int deepest = kDeepestJson);
// Discarded: it is no JSON, or too deep.
Json parse_json(std::string_view text, int deepest = kDeepestJson);

}  // namespace circus
