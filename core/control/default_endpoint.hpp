// Where circusctl looks for circusd when it is not told: the default of [circus] endpoint.
#pragma once

#include <string>

namespace circus::control {

// ipc:///run/circus/endpoint for root, else below $XDG_RUNTIME_DIR, else below /tmp/circus-UID.
std::string default_endpoint();

}  // namespace circus::control
