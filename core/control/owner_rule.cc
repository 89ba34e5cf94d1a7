#include "control/owner_rule.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_table.hpp"
#include "control/request.hpp"

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

bool is_owners(const config::CircusConfig& circus, const config::WatcherConfig& watcher) {
    return watcher.uid && watcher.uid->uid == circus.endpoint_owner->uid;
}

// Streams for which circusd opens nothing.
constexpr std::array<std::string_view, 3> kOpenNothing{"StdoutStream", "FancyStdoutStream", "QueueStream"};

bool opens_nothing(const Json& stream_class) {
    return stream_class.is_string() && std::find(kOpenNothing.begin(), kOpenNothing.end(),
                                                 stream_class.get<std::string>()) != kOpenNothing.end();
}

// Whether circusd would do something for the watcher that its user may not.
bool asks_for_rights(const std::string& key, const Json& value) {
    static constexpr std::array<std::string_view, 6> kKeys{"gid",   "nice",  "oom_score_adj",
                                                           "hooks", "ready", "critical"};
    if (std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end()) return true;
    if (key.starts_with("rlimit_") || key.starts_with("hooks.")) return true;
    for (const std::string_view stream : {"stdout_stream", "stderr_stream"}) {
        if (key == stream) return value.is_object() && !opens_nothing(value.value("class", Json()));
        if (key == cat(stream, ".class")) return !opens_nothing(value);
        if (key == cat(stream, ".filename")) return true;
    }
    return false;
}

Status check_rights(const WireOptions& options) {
    for (const auto& [key, value] : options)
        if (asks_for_rights(key, value))
            return refused(cat(py_repr(key), " cannot be set over an endpoint with an endpoint_owner"));
    return Ok{};
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
    if (!is_owners(circus, added)) return other_user();
    if (circus.endpoint_owner->uid == ::geteuid()) return Ok{};
    return check_rights(options);
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
    for (const auto& [key, value] : options) {
        if (key != "uid") continue;
        config::WatcherConfig scratch;
        const auto set = config::set_watcher_option(scratch, key, value);
        if (!set) return set.error();
        if (!is_owners(circus, scratch)) return other_user();
    }
    return check_rights(options);
}

}  // namespace circus::control
