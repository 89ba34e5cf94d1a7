// The small languages inside a pm2 ecosystem, in circusd's words.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace circus::convert {

std::string shell_word(const std::string& word);  // as one word of a command line

// moment's YYYY-MM-DD HH:mm:ss as strftime's; nullopt: it holds what strftime does not have.
std::optional<std::string> strftime_of(std::string_view format);

// A duration in seconds, from milliseconds or "10s", "5m", "1h".
std::optional<double> seconds_of(const Json& value);

}  // namespace circus::convert
