// Words of a source into the values of TOML: nullopt where a word is no such value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "convert/stack.hpp"

namespace circus::convert {

enum class ValueKind { Text, Integer, Number, Boolean, IntegerOrText };

// "yes" as a boolean, "1.50" as a number (an integer where it is a whole one). A word with $(circus.…) in it
// stays a text, to be filled in when the file is loaded.
std::optional<Json> to_value(std::string_view word, ValueKind kind);
std::string_view words_for(ValueKind kind);  // "an integer"

// Sets the option, or notes the problem: `what` is the option as the source calls it.
void set_value(Stack& stack, Section& section, std::string_view key, std::string_view word, ValueKind kind,
               const Place& at, std::string_view what);

// Line ends as blanks.
std::string in_one_line(std::string text);

// Sets a variable; circusd fills in $NAME, so a source that takes it literally gets a remark.
void set_literal_variable(Section& section, const std::string& key, const std::string& value,
                          const Place& at);

}  // namespace circus::convert
