// JSON values as Python would show them: Circus's error texts and circusctl's output are made of repr() and
// str(), and its flags of Python's truth.
#pragma once

#include <string>

#include "base/json.hpp"

namespace circus::control {

std::string repr(const Json& value);  // 'x', 3, 30.0, True, None, {'zz': 1}, ['a']
std::string str(const Json& value);   // the same, but a text stands without quotes
bool is_true(const Json& value);      // false: null, false, 0, "", [], {}

}  // namespace circus::control
