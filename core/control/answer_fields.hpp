// What lines and tables of answers are both made of: parts of an answer, however wrong its shape is.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"

namespace circus::control {

// A member, or null where there is none.
const Json& field(const Json& object, const char* name);
// The members of an object whose keys are pids, by number.
std::vector<std::pair<std::string, const Json*>> by_pid(const Json& object);
// The value of an option: nothing for null, A=1,B=2 for env, else as Python shows it.
std::string option_text(const std::string& key, const Json& value);
// Of an answer to `get`, in the order of the `keys` that were asked for.
std::vector<std::pair<std::string, const Json*>> options_asked(const Json& answer, const Json& asked);
std::string address_of(const Json& socket);  // host:port, or the path

}  // namespace circus::control
