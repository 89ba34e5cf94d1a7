// The properties of a request against the row of its command, and as the handlers read them. A property that
// is null counts as not given.
#pragma once

#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "control/command_table.hpp"

namespace circus::control {

// Missing properties first, in the order of the row, then wrong types; the errors are Circus's texts.
Status validate(const Command& command, const Json& properties);

// For properties that went through validate() with the type in question.
bool has(const Json& properties, const char* name);
std::string text_of(const Json& properties, const char* name);
std::optional<long long> integer_of(const Json& properties, const char* name);
std::optional<double> seconds_of(const Json& properties, const char* name);
std::optional<int> signal_of(const Json& properties, const char* name);
bool flag_of(const Json& properties, const char* name, bool otherwise = false);

// An integer, or a text that is one.
std::optional<long long> to_integer(const Json& value);

}  // namespace circus::control
