#include "control/access.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/command_table.hpp"
#include "control/properties.hpp"
#include "control/request.hpp"

namespace circus::control {

using model::Role;

namespace {

// The name that the configuration has for him: a look-up could ask the network.
std::string user_text(uid_t uid, const config::CircusConfig& circus) {
    if (uid == 0) return "root";
    const auto& allowed = circus.allow_users;
    const auto known = std::find_if(allowed.begin(), allowed.end(),
                                    [uid](const config::AllowedUser& each) { return each.user.uid == uid; });
    const std::string number = cat("uid ", uid);
    return known == allowed.end() || known->user.written == std::to_string(uid)
               ? number
               : cat(number, " (", known->user.written, ")");
}

// A flag that is there and false asks for nothing.
bool asks_for(const Property& property, const Json& properties) {
    const std::string name(property.name);
    return has(properties, name.c_str()) &&
           (property.type != PropertyType::Flag || flag_of(properties, name.c_str()));
}

}  // namespace

Role role_of_user(uid_t uid, const config::CircusConfig& circus, uid_t daemon) {
    if (uid == 0 || uid == daemon) return Role::Admin;
    if (circus.endpoint_owner && circus.endpoint_owner->uid == uid) return Role::Admin;
    Role role = Role::None;
    for (const config::AllowedUser& allowed : circus.allow_users)
        if (allowed.user.uid == uid) role = std::max(role, allowed.role);
    return role;
}

Caller caller_of(const sys::Peer* peer, const config::CircusConfig& circus, uid_t daemon) {
    if (!peer) return {Role::None, "somebody", "the connection is over"};
    const std::string from = peer->address.empty() ? "" : cat(", ", peer->address);
    if (!peer->uid) return {Role::None, cat("somebody", from), peer->unknown};
    std::string name = cat(user_text(*peer->uid, circus), from);
    if (peer->pid != 0) name += cat(", pid ", peer->pid);
    const bool is_limited = circus.endpoint_owner && circus.endpoint_owner->uid == *peer->uid &&
                            *peer->uid != 0 && *peer->uid != daemon;
    return {role_of_user(*peer->uid, circus, daemon), std::move(name), {}, is_limited};
}

Caller caller_of_key(const std::string& key, const config::CircusConfig& circus) {
    for (const config::CurveClient& client : circus.curve_clients)
        if (client.key == key) return {client.role, cat("key ", client.name), {}};
    return {Role::None, "somebody", "the key is not in curve_keys any more"};
}

Caller caller_of_plugin(std::string_view plugin) {
    return {Role::Admin, cat("plugin ", plugin), {}};
}

Role role_needed(const Command& command, const Json& properties) {
    Role needed = command.role;
    for (const Property& property : command.properties)
        if (property.role > needed && asks_for(property, properties)) needed = property.role;
    return needed;
}

Status check_role(const Caller& caller, Role needed) {
    if (caller.role >= needed) return Ok{};
    constexpr int kErrno = static_cast<int>(Errno::Os);
    if (caller.role != Role::None)
        return Error{cat("permission denied: this takes the role ", model::name_of(needed), ", and ",
                         caller.name, " has ", model::name_of(caller.role)),
                     kErrno};
    if (!caller.unknown.empty())
        return Error{cat("permission denied: it is not known who asks: ", caller.unknown), kErrno};
    return Error{cat("permission denied: ", caller.name,
                     " is not among those who may command circusd (allow_users in [circus])"),
                 kErrno};
}

}  // namespace circus::control
