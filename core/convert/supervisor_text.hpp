// The small languages inside supervisord.conf: %(name)s expansion, environment=A="1",B=2, sizes like 50MB.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace circus::convert {

// The value of a name of %(name)s, already in circusd's words; nullopt: unknown.
using Names = std::function<std::optional<std::string>(std::string_view name)>;

// Python's %-formatting as supervisord uses it: %%, %(name)s, and %(process_num)02d for a number. An error
// says what is wrong with the text.
Result<std::string> expand(std::string_view text, const Names& names);
bool names_process(std::string_view text);  // %(process_num)… stands in it

// A="1",B=2 or with line ends between; values in quotes as a shell's.
Result<std::vector<std::pair<std::string, std::string>>> parse_environment(std::string_view text);

std::optional<long long> parse_size(std::string_view text);  // 50MB, 512KB, 1GB, 100

}  // namespace circus::convert
