// What may be added and changed over an endpoint that [circus] endpoint_owner has made another user's.
//
// As in Circus, `add` may only create what runs as that user. And because that would be worth nothing if he
// could then `set` it, or say what is done for it before it is that user's: what runs as somebody else may
// only be changed in what needs no new process (how many, how long, which signal), and nothing may be set by
// which circusd itself would act for him with its own rights.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "config/config.hpp"

namespace circus::control {

using WireOptions = std::vector<std::pair<std::string, Json>>;

// Ok where there is no endpoint_owner, or the endpoint is none of a file. Errors are messages of errno 3.
Status may_add(const config::CircusConfig& circus, const config::WatcherConfig& added,
               const WireOptions& options);
Status may_set(const config::CircusConfig& circus, const config::WatcherConfig& watcher,
               const WireOptions& options);

}  // namespace circus::control
