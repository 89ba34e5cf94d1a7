// What a library says of itself before any of its functions runs: the constant data of circus_plugin_v1, read
// and judged. The throw-away `circus-plugin --describe` prints it as JSON, circusd reads that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <circus/abi.h>

#include "base/json.hpp"
#include "base/result.hpp"

namespace circus::plugin {

// Why a library cannot be used: at which step, what was found there and what it should have been.
std::string fault(std::string_view step, std::string_view found, std::string_view expected);

struct Description {
    int major = 0, minor = 0;
    std::uint32_t size = 0;
    std::string name, version, summary;
    std::vector<std::string> needs;
    std::string options = "{}";  // JSON object: option -> {"type", …}
};

// What a circus_plugin of 1.0 had: no writer knows less.
inline constexpr std::uint32_t kSmallestPlugin = 88;

// Size, version, constants, functions, needs and options, in this order. `table` is in a library that is
// loaded; `offered` are the extensions that the host has.
Result<Description> read_description(const circus_plugin& table, const std::vector<std::string>& offered);

Json to_json(const Description& description);
// Null: not what to_json() makes.
Result<Description> description_from(const Json& json);

}  // namespace circus::plugin
