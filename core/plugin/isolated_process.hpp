// The life of circus-plugin as the host of one isolated plugin: hello, start, then the plugin's calls until
// SIGTERM, stop, bye.
#pragma once

#include <string>

namespace circus::plugin {

// The exit code. `endpoint` and `token` are what circusd gave by the environment.
int run_isolated(const std::string& endpoint, const std::string& token);

}  // namespace circus::plugin
