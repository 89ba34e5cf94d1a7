#include "rights.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "foreign_json.hpp"

namespace console {

namespace {

// What `set` may change where adding watchers is off: numbers, times, sizes and signals. Any other option may
// make a watcher run something else, or as somebody else, or write somewhere.
bool is_harmless(const std::string& option) {
    static constexpr auto kHarmless = std::to_array<std::string_view>(
        {"numprocesses", "warmup_delay",  "autostart",        "respawn",     "max_retry",
         "min_uptime",   "max_backoff",   "retry_in",         "max_age",     "max_age_variance",
         "stop_signal",  "stop_children", "graceful_timeout", "kill_tree",   "send_hup",
         "priority",     "on_demand",     "singleton",        "reload_mode", "ready_timeout",
         "max_surge",    "critical",      "max_unavailable",  "memory_soft", "memory_max"});
    return std::find(kHarmless.begin(), kHarmless.end(), option) != kHarmless.end();
}

// What says what runs or ends it all, beside `set`. By name, because not every Circus says which role a
// command takes; `ipython` is Python's Circus's, and runs anything in the daemon.
bool takes_admin(const std::string& command) {
    static constexpr auto kAdmin =
        std::to_array<std::string_view>({"add", "ipython", "quit", "rm", "upgrade"});
    return std::find(kAdmin.begin(), kAdmin.end(), command) != kAdmin.end();
}

// With `secrets` any command takes the role admin. What circusd takes for no, and is not plainly no, is a
// yes.
bool asks_for_secrets(const circus::Json& properties) {
    const auto at = properties.find("secrets");
    return at != properties.end() && !at->is_null() && *at != false;
}

// Of a circusd that does not say what can be set: what a Circus in Python can change, and how.
circus::Json usual_options(const circus::Json& options) {
    static constexpr auto kLive = std::to_array<std::string_view>(
        {"numprocesses", "warmup_delay", "graceful_timeout", "max_retry", "priority", "respawn", "singleton",
         "stop_signal", "stop_children", "send_hup"});
    circus::Json found = circus::Json::object();
    for (const auto& [option, value] : options.items()) {
        if (std::find(kLive.begin(), kLive.end(), option) != kLive.end())
            found[option] = {{"effect", "live"}};
        if (option == "max_age" || option == "max_age_variance") found[option] = {{"effect", "respawn"}};
    }
    return found;
}

bool changes(const std::string& command, const circus::Json& commands) {
    const auto row = commands.find(command);
    if (row == commands.end() || !row->is_object()) return true;
    const auto role = row->find("role");
    if (role != row->end() && *role != "read") return true;
    const auto says = row->find("changes");
    return says == row->end() || !says->is_boolean() || says->get<bool>();
}

void hide_env(circus::Json& options) {
    const auto env = options.find("env");
    if (env == options.end() || env->is_null()) return;
    if (!env->is_object())
        *env = "(hidden)";
    else
        for (auto& value : *env) value = "(hidden)";
}

}  // namespace

std::optional<std::string> refusal_of(Role role, bool allow_add, const std::string& command,
                                      const circus::Json& properties, const circus::Json& commands) {
    if (role != Role::Operate && changes(command, commands)) return "this role may only read";
    if (role == Role::Operate && allow_add) return std::nullopt;
    static const std::string kRemedy = "; allow_add = true in the console's section lets one who may operate";
    if (command == "add") return "watchers cannot be added here" + kRemedy;
    if (takes_admin(command)) return command + " takes circusd's role admin, which nobody has here" + kRemedy;
    if (asks_for_secrets(properties)) return "secrets are not shown here" + kRemedy;
    const auto options = properties.find("options");
    if (command == "set" && options != properties.end() && options->is_object())
        for (const auto& [option, value] : options->items())
            if (!is_harmless(option))
                return std::string(option)
                    .append(" cannot be set here: it may say what runs")
                    .append(kRemedy);
    return std::nullopt;
}

circus::Json editable(Role role, bool allow_add, const circus::Json& answer) {
    if (role != Role::Operate) return circus::Json::object();
    const auto says = answer.find("settable");
    circus::Json found =
        says != answer.end() && says->is_object() ? *says : usual_options(object_in(answer, "options"));
    for (auto at = found.begin(); at != found.end();)
        at = allow_add || is_harmless(at.key()) ? std::next(at) : found.erase(at);
    return found;
}

bool is_query(const std::string& command, const circus::Json& properties) {
    static constexpr auto kQueries = std::to_array<std::string_view>(
        {"commands", "deaths", "dstats", "figures", "get", "globaloptions", "list", "listen", "listsockets",
         "logs", "numprocesses", "numwatchers", "options", "plugins", "stats", "status"});
    if (command == "gauge") return !properties.contains("value");
    return std::find(kQueries.begin(), kQueries.end(), command) != kQueries.end();
}

void hide_secrets(circus::Json& answer) {
    answer.erase("settable");  // has the values once more
    if (const auto options = answer.find("options"); options != answer.end() && options->is_object())
        hide_env(*options);
}

}  // namespace console
