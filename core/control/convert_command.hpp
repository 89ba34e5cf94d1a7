// `circusctl convert FILE`: the layer core/convert behind a command line.
#pragma once

#include "base/json.hpp"

namespace circus::control {

// `properties`: file, and perhaps from and output. Prints the result, or every problem; the exit code.
int run_convert(const Json& properties);

}  // namespace circus::control
