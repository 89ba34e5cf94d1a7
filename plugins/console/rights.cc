#include "rights.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace console {

namespace {

// What `set` may change where adding watchers is off: numbers, times and signals. Any other option may make a
// watcher run something else, or as somebody else, or write somewhere.
bool is_harmless(const std::string& option) {
    static constexpr std::array<std::string_view, 19> kHarmless{
        "numprocesses", "warmup_delay",  "autostart",        "respawn",    "max_retry",
        "min_uptime",   "max_backoff",   "retry_in",         "max_age",    "max_age_variance",
        "stop_signal",  "stop_children", "graceful_timeout", "kill_tree",  "send_hup",
        "priority",     "on_demand",     "singleton",        "reload_mode"};
    return std::find(kHarmless.begin(), kHarmless.end(), option) != kHarmless.end();
}

bool changes(const std::string& command, const circus::Json& commands) {
    const auto row = commands.find(command);
    if (row == commands.end() || !row->is_object()) return true;
    const auto says = row->find("changes");
    return says == row->end() || !says->is_boolean() || says->get<bool>();
}

void hide_env(circus::Json& options) {
    const auto env = options.find("env");
    if (env == options.end() || !env->is_object()) return;
    for (auto& value : *env) value = "(hidden)";
}

}  // namespace

std::optional<std::string> refusal_of(Role role, bool allow_add, const std::string& command,
                                      const circus::Json& properties, const circus::Json& commands) {
    if (role != Role::Operate && changes(command, commands)) return "this role may only read";
    if (allow_add) return std::nullopt;
    if (command == "add")
        return "watchers cannot be added here; allow_add = true in the console's section lets one";
    const auto options = properties.find("options");
    if (command == "set" && options != properties.end() && options->is_object())
        for (const auto& [option, value] : options->items())
            if (!is_harmless(option))
                return option +
                       " cannot be set here: it may say what runs; allow_add = true in the console's section "
                       "lets one";
    return std::nullopt;
}

void hide_secrets(circus::Json& answer) {
    if (const auto options = answer.find("options"); options != answer.end() && options->is_object())
        hide_env(*options);
}

}  // namespace console
