// Whether an endpoint is the one of the events. Circus's circusctl wants pubsub_endpoint for `listen` and the
// control endpoint for everything else; ours takes either.
#pragma once

#include <string>

#include "base/clock.hpp"
#include "control/client.hpp"

namespace circus::control {

// True if a publisher answers at `endpoint` within `patience`. False at once for what is not one, and where
// nobody listens; whoever connects then says why.
bool publishes(const std::string& endpoint, Duration patience, const MaybeKeys& keys = {});

}  // namespace circus::control
