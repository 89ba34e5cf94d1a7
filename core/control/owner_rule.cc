#include "control/owner_rule.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_table.hpp"
#include "config/substitute.hpp"
#include "control/properties.hpp"
#include "control/request.hpp"
#include "sys/identity.hpp"

namespace circus::control {

namespace {

using config::Effect;

Error refused(std::string text) {
    return {std::move(text), static_cast<int>(Errno::Message)};
}

Error other_user() {
    return refused("uid does not match endpoint_owner");
}

bool is_restricted(const config::CircusConfig& circus) {
    return circus.endpoint_owner && circus.endpoint.starts_with("ipc:");
}

// One of the groups that he is in anyway.
bool is_his_group(gid_t gid, uid_t owner) {
    const auto user = sys::find_user(std::to_string(owner));
    if (!user || user->name.empty()) return gid == owner;  // as a process of such a number gets it
    const auto groups = sys::groups_of(owner, user->gid);
    return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

bool has_his_uid(const config::CircusConfig& circus, const config::WatcherConfig& watcher) {
    return watcher.uid && watcher.uid->uid == circus.endpoint_owner->uid;
}

// Whoever can say what it runs is its user and no more.
bool is_owners(const config::CircusConfig& circus, const config::WatcherConfig& watcher) {
    return has_his_uid(circus, watcher) &&
           (!watcher.gid || is_his_group(watcher.gid->gid, circus.endpoint_owner->uid));
}

// Streams for which circusd opens nothing.
constexpr std::array<std::string_view, 3> kOpenNothing{"StdoutStream", "FancyStdoutStream", "QueueStream"};

bool opens_nothing(const Json& stream_class) {
    return stream_class.is_string() && std::find(kOpenNothing.begin(), kOpenNothing.end(),
                                                 stream_class.get<std::string>()) != kOpenNothing.end();
}

bool holds(std::span<const std::string_view> words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// Of a stream's options, by which circusd would touch a file.
bool touches_files(std::string_view option, const Json& value) {
    static constexpr std::array<std::string_view, 4> kHarmless{"color", "lines", "on_slow", "time_format"};
    return option == "class" ? !opens_nothing(value) : !holds(kHarmless, option);
}

// Whether circusd would do something for the watcher that its user may not, or give him something of its own.
bool asks_for_rights(std::string_view key, const Json& value) {
    static constexpr std::array<std::string_view, 6> kNever{"gid",   "nice",  "oom_score_adj",
                                                            "hooks", "ready", "critical"};
    // It enters the folder, and looks into the virtualenv, before the process is his.
    static constexpr std::array<std::string_view, 4> kNotSome{"working_dir", "virtualenv",
                                                              "virtualenv_py_ver", "stdin_socket"};
    static constexpr std::array<std::string_view, 3> kNotOn{"copy_env", "copy_path", "use_sockets"};
    if (holds(kNever, key) || key.starts_with("rlimit_") || key.starts_with("hooks.")) return true;
    if (holds(kNotSome, key)) return !value.is_null() && value != Json("");
    if (holds(kNotOn, key)) return value != Json(false);
    if (key == "close_child_stdin") return value != Json(true);
    for (const std::string_view stream : {"stdout_stream", "stderr_stream"}) {
        if (key == stream) return value.is_object() && !opens_nothing(value.value("class", Json()));
        if (key.size() > stream.size() && key.starts_with(stream) && key[stream.size()] == '.')
            return touches_files(key.substr(stream.size() + 1), value);
    }
    return false;
}

Status check_rights(const WireOptions& options) {
    for (const auto& [key, value] : options)
        if (asks_for_rights(key, value))
            return refused(cat(py_repr(key), " cannot be set over an endpoint with an endpoint_owner"));
    return Ok{};
}

// Variables of circusd's own environment, unless `now` names them already.
Status check_variables(const config::WatcherConfig& next, const config::WatcherConfig& now) {
    const auto known = config::named_variables(now);
    for (const std::string& name : config::named_variables(next))
        if (std::find(known.begin(), known.end(), name) == known.end())
            return refused(cat("variable ", py_repr(name),
                               " of circusd's environment cannot be named over an ",
                               "endpoint with an endpoint_owner"));
    return Ok{};
}

// Who names no socket gets them all.
Status check_sockets(const config::WatcherConfig& next, const config::WatcherConfig& now) {
    const auto had = config::named_sockets(now);
    if (!now.use_sockets || had.empty()) return Ok{};
    const auto wants = config::named_sockets(next);
    const bool is_more = wants.empty() || std::any_of(wants.begin(), wants.end(), [&had](const auto& name) {
                             return std::find(had.begin(), had.end(), name) == had.end();
                         });
    if (!is_more) return Ok{};
    return refused(
        cat("watcher ", now.name, " may have no other sockets over an endpoint with an endpoint_owner"));
}

// What runs stays what it is. A key that nobody knows is refused by those who know them all.
bool needs_no_new_process(const std::string& key) {
    const auto& rows = config::watcher_options();
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.name == key; });
    if (row == rows.end()) return key.find('.') == std::string::npos && !key.starts_with("rlimit_");
    return (row->effect == Effect::Live || row->effect == Effect::Count) && key != "stop_command" &&
           key != "hooks" && key != "ready" && key != "critical";
}

}  // namespace

Status may_add(const config::CircusConfig& circus, const config::WatcherConfig& added,
               const WireOptions& options) {
    if (!is_restricted(circus)) return Ok{};
    if (!has_his_uid(circus, added)) return other_user();
    if (circus.endpoint_owner->uid == ::geteuid()) return Ok{};
    if (const Status rights = check_rights(options); !rights) return rights;
    return check_variables(added, {});
}

Status may_set(const config::CircusConfig& circus, const config::WatcherConfig& watcher,
               const WireOptions& options) {
    if (!is_restricted(circus) || circus.endpoint_owner->uid == ::geteuid()) return Ok{};
    if (!is_owners(circus, watcher)) {
        for (const auto& [key, value] : options)
            if (!needs_no_new_process(key))
                return refused(cat("watcher ", watcher.name,
                                   " does not run as endpoint_owner: ", py_repr(key), " cannot be set"));
        return Ok{};
    }
    config::WatcherConfig next = watcher;
    for (const auto& [key, value] : options) {
        const auto set = config::set_watcher_option(next, key, value);
        if (key != "uid") continue;  // what else is wrong with them is said by whoever sets them
        if (!set) return set.error();
        if (!has_his_uid(circus, next)) return other_user();
    }
    if (const Status rights = check_rights(options); !rights) return rights;
    if (const Status variables = check_variables(next, watcher); !variables) return variables;
    return check_sockets(next, watcher);
}

Status may_ask(const config::CircusConfig& circus, std::string_view command, const Json& properties,
               const config::WatcherConfig* watcher) {
    constexpr int kErrno = static_cast<int>(Errno::Os);
    if (equals_ignoring_case(command, "upgrade") && has(properties, "binary") &&
        properties["binary"] != Json(""))
        return Error{"permission denied: endpoint_owner may not say which binary circusd goes on as", kErrno};
    if (watcher && flag_of(properties, "secrets") && !is_owners(circus, *watcher))
        return Error{cat("permission denied: watcher ", watcher->name,
                         " does not run as endpoint_owner: its secrets are not for him"),
                     kErrno};
    return Ok{};
}

}  // namespace circus::control
