#include "convert/circus_plugins.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>

#include "base/text.hpp"
#include "convert/circus_options.hpp"
#include "convert/lost.hpp"
#include "convert/values.hpp"

namespace circus::convert {

struct PluginOption {
    std::string_view name;
    ValueKind kind;
    double low = -std::numeric_limits<double>::infinity();
    std::string_view here = {};  // as circusd calls it, where that is another name
    bool or_text = false;        // a number, or an amount like 512M
};

// Whether it sends figures to StatsD; Own: only if it is given a host.
enum class Figures { None, Own, AnyHost };

namespace {

using Kind = ValueKind;

constexpr std::array kCommon{
    PluginOption{"active", Kind::Boolean},
    PluginOption{"priority", Kind::Integer},
};
constexpr std::array kFlapping{
    PluginOption{"attempts", Kind::Integer, 1},
    PluginOption{"window", Kind::Number, 0},
    PluginOption{"retry_in", Kind::Number, 0},
    PluginOption{"max_retry", Kind::Integer, -1},
};
constexpr std::array kResourceWatcher{
    PluginOption{"watcher", Kind::Text},
    PluginOption{"service", Kind::Text, 0, "watcher"},
    PluginOption{"loop_rate", Kind::Number, 0.1},
    PluginOption{"max_cpu", Kind::Number, 0},
    PluginOption{"min_cpu", Kind::Number, 0},
    PluginOption{"max_mem", Kind::Number, 0, {}, true},
    PluginOption{"min_mem", Kind::Number, 0, {}, true},
    PluginOption{"max_mem_abs", Kind::Number, 0, {}, true},
    PluginOption{"min_mem_abs", Kind::Number, 0, {}, true},
    PluginOption{"health_threshold", Kind::Number, 0},
    PluginOption{"max_count", Kind::Integer, 0},
    PluginOption{"process_children", Kind::Boolean},
    PluginOption{"child_signal", Kind::IntegerOrText},
};
constexpr std::array kWatchdog{
    PluginOption{"loop_rate", Kind::Number, 0.1},
    PluginOption{"watchers_regex", Kind::Text},
    PluginOption{"msg_regex", Kind::Text},
    PluginOption{"max_count", Kind::Integer, 1},
    PluginOption{"ip", Kind::Text},
    PluginOption{"port", Kind::Integer, 0},
    PluginOption{"watchers_stop_signal", Kind::IntegerOrText},
    PluginOption{"watchers_graceful_timeout", Kind::Number, 0},
};
constexpr std::array kCommandReloader{
    PluginOption{"loop_rate", Kind::Number, 0.01},
};
constexpr std::array kLoopRate{
    PluginOption{"loop_rate", Kind::Number, 0.1},
};
constexpr std::array kHttpObserver{
    PluginOption{"loop_rate", Kind::Number, 0.1},
    PluginOption{"check_url", Kind::Text},
    PluginOption{"timeout", Kind::Number, 0.1},
    PluginOption{"restart_on_error", Kind::Text},
};
constexpr std::array kRedisObserver{
    PluginOption{"loop_rate", Kind::Number, 0.1},
    PluginOption{"redis_url", Kind::Text},
    PluginOption{"timeout", Kind::Number, 0.1},
    PluginOption{"restart_on_timeout", Kind::Text},
};
constexpr std::array kStatsd{
    PluginOption{"application_name", Kind::Text},
    PluginOption{"host", Kind::Text},
    PluginOption{"port", Kind::Integer, 1},
    PluginOption{"sample_rate", Kind::Number, 0},
};

// Of an option that these have in Circus, and circusd's of the same name have not.
constexpr std::array kLostOptions{
    Lost{"name", "the section's name is the plugin's"},
    Lost{"numprocesses", "not needed: a plugin runs once"},
    Lost{"singleton", "not needed: a plugin runs once"},
    Lost{"copy_env", "a plugin runs inside circusd; with isolate = true in a process of its own"},
    Lost{"copy_path", "a plugin runs inside circusd; with isolate = true in a process of its own"},
    Lost{"uid", "a plugin runs as circusd does; with isolate = true in a process of its own"},
    Lost{"gid", "a plugin runs as circusd does; with isolate = true in a process of its own"},
    Lost{"working_dir", "a plugin runs where circusd does"},
    Lost{"virtualenv", "a plugin is a shared library, no program in Python"},
};

}  // namespace

struct CircusPlugin {
    std::string_view path;
    std::string_view use;
    std::span<const PluginOption> options;
    Figures figures = Figures::None;
};

namespace {

constexpr std::array kPlugins{
    CircusPlugin{"circus.plugins.flapping.Flapping", "flapping", kFlapping},
    CircusPlugin{"circus.plugins.resource_watcher.ResourceWatcher", "resource_watcher", kResourceWatcher,
                 Figures::Own},
    CircusPlugin{"circus.plugins.watchdog.WatchDog", "watchdog", kWatchdog},
    CircusPlugin{"circus.plugins.command_reloader.CommandReloader", "command_reloader", kCommandReloader},
    CircusPlugin{"circus.plugins.statsd.StatsdEmitter", "statsd", {}, Figures::AnyHost},
    CircusPlugin{"circus.plugins.statsd.FullStats", "full_stats", kLoopRate, Figures::AnyHost},
    CircusPlugin{"circus.plugins.http_observer.HttpObserver", "http_observer", kHttpObserver, Figures::Own},
    CircusPlugin{"circus.plugins.redis_observer.RedisObserver", "redis_observer", kRedisObserver,
                 Figures::Own},
};

const PluginOption* find_in(std::span<const PluginOption> options, std::string_view name) {
    const auto at =
        std::find_if(options.begin(), options.end(), [name](const auto& row) { return row.name == name; });
    return at == options.end() ? nullptr : &*at;
}

const PluginOption* find_option(const CircusPlugin& plugin, std::string_view name) {
    if (const auto* own = find_in(plugin.options, name)) return own;
    if (const auto* figures = plugin.figures == Figures::None ? nullptr : find_in(kStatsd, name))
        return figures;
    return find_in(kCommon, name);
}

std::optional<std::string_view> advice_for(const CircusPlugin& plugin, std::string_view name) {
    if (plugin.figures != Figures::None && name == "fqdn_prefix") return advice_for_lost(name);
    const auto at = std::find_if(kLostOptions.begin(), kLostOptions.end(),
                                 [name](const auto& row) { return row.name == name; });
    if (at != kLostOptions.end()) return at->advice;
    if (find_known(circus_watcher_options(), name) || name.find('.') != std::string_view::npos)
        return "a plugin runs inside circusd, it is no watcher; left out";
    return std::nullopt;
}

}  // namespace

const CircusPlugin* find_circus_plugin(std::string_view path) {
    const auto at =
        std::find_if(kPlugins.begin(), kPlugins.end(), [path](const auto& row) { return row.path == path; });
    return at == kPlugins.end() ? nullptr : &*at;
}

const CircusPlugin* find_circus_plugin_by_name(std::string_view name) {
    const auto at =
        std::find_if(kPlugins.begin(), kPlugins.end(), [name](const auto& row) { return row.use == name; });
    return at == kPlugins.end() ? nullptr : &*at;
}

std::string_view name_of(const CircusPlugin& plugin) {
    return plugin.use;
}

void convert_plugin_option(Stack& stack, Section& section, const CircusPlugin& plugin, std::string_view key,
                           std::string_view name, const std::string& value, const Place& at) {
    const std::string what = cat(key, " = ", value);
    const PluginOption* const option = find_option(plugin, name);
    if (!option) {
        const auto advice = advice_for(plugin, name);
        return section.remark(
            at, what, advice ? *advice : cat("circusd's ", plugin.use, " has no such option; left out"));
    }
    auto converted = to_value(value, option->kind);
    if (!converted && option->or_text) converted = Json(value);
    if (!converted)
        return stack.problem(at, cat(key, " must be ", words_for(option->kind), ", not \"", value, "\""));
    if (converted->is_number() && converted->get<double>() < option->low)
        return section.remark(at, what,
                              cat("circusd wants ", to_value(Json(option->low).dump(), Kind::Number)->dump(),
                                  " at least; left out"));
    const std::string_view prefix = key.substr(0, key.size() - name.size());
    section.set(cat(prefix, option->here.empty() ? name : option->here), std::move(*converted), at);
}

void finish_plugin(Stack& stack, Section& section, const CircusPlugin& plugin) {
    if (plugin.figures == Figures::Own && !section.has("host"))
        section.note(
            "Its figures go to no StatsD server unless it is given a host; Circus sends them to localhost.");
    if (plugin.use == "resource_watcher" && !section.has("watcher"))
        stack.problem(section.at(),
                      cat(section.origin(), " does not say whose processes it looks at: watcher = …"));
}

}  // namespace circus::convert
