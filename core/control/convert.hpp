// The values of `circusctl set`: words into what the option table says they are on the wire.
#pragma once

#include <string>

#include "base/json.hpp"
#include "base/result.hpp"

namespace circus::control {

// "yes" for a boolean, "TERM" for a signal, "A=1,B=2" for env. `key` in lower case. An error names the key.
Result<Json> convert_option(const std::string& key, const std::string& text);

}  // namespace circus::control
