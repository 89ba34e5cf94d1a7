// The three endpoints: which they are when the file does not say, and whether ZeroMQ can use them. Internal
// to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace circus::config {

inline constexpr size_t kLongestUnixPath = 107;  // of sockaddr_un, less the NUL

// Whether nobody but this machine reaches it: every ipc endpoint, and tcp ones of a loopback address.
bool is_local(std::string_view endpoint);

// What is wrong with an endpoint; nullopt: nothing.
std::optional<std::string> endpoint_problem(std::string_view endpoint);

// Fills in the endpoints that are empty: the control endpoint by user (`as_root`, or XDG_RUNTIME_DIR of
// `environment`, or /tmp/circus-UID), the others beside it.
void fill_endpoints(CircusConfig& config, bool as_root, uid_t uid,
                    const std::vector<std::string>& environment);

}  // namespace circus::config
