// Decisions in words and as JSON: why a watcher has as many workers as it has.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "policy.hpp"

namespace autoscaler {

// Every signal, each wish, and the limit that won.
nlohmann::json to_json(const Decision& decision, Time now);
// "12 s ago: 8 workers, 11 wanted by queue, now 10 (growth); queue 4, in flight 8.0, …"
std::string to_text(const Decision& decision, Time now);

}  // namespace autoscaler
