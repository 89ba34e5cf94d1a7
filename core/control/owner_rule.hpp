// What endpoint_owner, whom [circus] endpoint_owner has given the endpoint, may not do: anything by which he
// would be more than himself. All else he may, also stop and remove what runs as others.
//
// As in Circus, `add` may only create what runs as that user. And because that would be worth nothing if he
// could then `set` it, or say what is done for it before it is that user's: what runs as somebody else may
// only be changed in what needs no new process (how many, how long, which signal), and nothing may be set by
// which circusd itself would act for him with its own rights (files that it writes, reads or enters before
// the process is his), or hand him what is its own: its environment, its standard input, its sockets. These
// hold for whoever asks over that endpoint.
//
// Of himself alone: he may not say which binary circusd goes on as, and sees secrets only of what runs as
// himself.
#pragma once

#include <string>
#include <string_view>
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

// Of a caller who is endpoint_owner and not root. `watcher`: the one that is named; null: none. An error is
// of errno 4.
Status may_ask(const config::CircusConfig& circus, std::string_view command, const Json& properties,
               const config::WatcherConfig* watcher);

}  // namespace circus::control
