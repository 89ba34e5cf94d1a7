// JSON as every layer of the arbiter uses it. Include this where values are only passed on (it is the light
// forward header); the full nlohmann/json.hpp belongs in the few .cc files that build or read them.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace circus {
using Json = nlohmann::json;  // object keys are sorted; duplicates: the last one wins
}
