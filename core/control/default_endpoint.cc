#include "control/default_endpoint.hpp"

#include <cstdlib>
#include <unistd.h>

#include "base/text.hpp"

namespace circus::control {

std::string default_endpoint() {
    if (::geteuid() == 0) return "ipc:///run/circus/endpoint";
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime && *runtime) return cat("ipc://", std::string_view(runtime), "/circus/endpoint");
    return cat("ipc:///tmp/circus-", ::geteuid(), "/endpoint");
}

}  // namespace circus::control
