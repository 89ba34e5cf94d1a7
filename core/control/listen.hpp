// `circusctl listen`: events as lines, until it is interrupted or nobody reads them any more; both are its
// usual end and no error.
#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"
#include "control/client.hpp"

namespace circus::control {

// Where the events of the daemon at `control` are from here: a wildcard address is good for binding, and then
// it is the control endpoint's host that is asked.
std::string reachable(const std::string& events, const std::string& control);
// Of two endpoints of one daemon: only its own machine reaches the first, and this is another.
bool is_out_of_reach(const std::string& events, const std::string& control);
int print_events(const std::string& endpoint, const std::vector<std::string>& topics,
                 const MaybeKeys& keys = {});  // the exit code

}  // namespace circus::control
