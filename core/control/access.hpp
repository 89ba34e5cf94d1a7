// Who may do what: a pure function of who somebody is and what the configuration says of him. Asked for each
// request, so that a change of the configuration is in force at once, for connections that are open too.
//
// Root and the user that circusd runs as may do everything; endpoint_owner too, but for what owner_rule.hpp
// says; those of allow_users what their role says; everybody else nothing. Who cannot be identified is
// everybody else.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "base/json.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "model/role.hpp"
#include "sys/peer.hpp"

namespace circus::control {

struct Command;

// Who asks, for as long as a request lasts.
struct Caller {
    model::Role role = model::Role::None;
    std::string name;         // as the log calls him: "uid 33 (deploy), pid 4711"
    std::string unknown;      // why nothing is known of him, where that is so
    bool is_limited = false;  // endpoint_owner: of what his role allows less (owner_rule.hpp)
};

// `daemon`: the user that circusd runs as.
model::Role role_of_user(uid_t uid, const config::CircusConfig& circus, uid_t daemon);

// Of a connection. Null: which one it was is not known.
Caller caller_of(const sys::Peer* peer, const config::CircusConfig& circus, uid_t daemon);
// Of a key of CURVE.
Caller caller_of_key(const std::string& key, const config::CircusConfig& circus);
// circusd's own plugins may do what they like: they are part of it.
Caller caller_of_plugin(std::string_view plugin);

// What the command needs with these properties.
model::Role role_needed(const Command& command, const Json& properties);
// An error in Circus's words for somebody with less.
Status check_role(const Caller& caller, model::Role needed);

}  // namespace circus::control
