// Configurations as they outlive an arbiter: whole, also what no file says (a watcher that was added, an
// option that was set), in a form that a later circusd reads: a member by its name, where it is not the
// default. What it does not know it passes over, what is missing is the default.
//
// A new member of one of the structs belongs into its row in saved.cc: without it that does not compile.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "config/virtual_env.hpp"

namespace circus::config {

// Strings may hold any bytes: for CBOR, not for JSON text.
Json to_saved(const WatcherConfig& config);
Json to_saved(const Config& config);  // with its watchers
Json to_saved(const VirtualEnv& env);

// Json::exception on what to_saved() does not write.
void from_saved(const Json& saved, WatcherConfig& config);
void from_saved(const Json& saved, Config& config);
void from_saved(const Json& saved, VirtualEnv& env);
void from_saved(const Json& saved, SocketConfig& config);
Json to_saved(const SocketConfig& config);

}  // namespace circus::config
