// `circusctl keygen FILE`: a fresh pair of CURVE keys in a file of mode 0600, the daemon's or a client's.
#pragma once

#include "base/json.hpp"

namespace circus::control {

// `properties`: file, and perhaps server. Says what is to be done with it, or what was wrong; the exit code.
int run_keygen(const Json& properties);

}  // namespace circus::control
