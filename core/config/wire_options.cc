// Options as messages carry them: `set` and `add` in, `options` and `globaloptions` out.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "base/truth.hpp"
#include "config/multicast.hpp"
#include "config/option_row.hpp"

namespace circus::config {
namespace {

constexpr std::string_view kLimitPrefix = "rlimit_";
constexpr std::string_view kHooksPrefix = "hooks.";

Result<Effect> applied(const Faults& found, const Json& value, Effect effect) {
    if (found.empty()) return effect;
    const Fault& first = found.front();
    const auto member = value.is_object() ? value.find(first.sub_key) : value.end();
    const bool inside = value.is_object() && member != value.end() && !first.sub_key.empty();
    return wire_error(first, inside ? *member : value);
}

// What Circus's circusctl sends as it was typed, since it knows the types of two stream options only, and
// what Circus's classes make of it: int(), a truth, a name with its package.
Json with_types(const Json& stream) {
    static constexpr std::string_view kPackage = "circus.stream.";
    Json typed = stream;
    for (auto& [name, value] : typed.items()) {
        if (!value.is_string()) continue;
        const std::string text(trim(value.get_ref<const std::string&>()));
        const auto is_row = [&option = name](const auto& row) { return row.info.name == option; };
        const auto row = std::find_if(stream_rows().begin(), stream_rows().end(), is_row);
        if (row == stream_rows().end()) continue;
        if (name == "class" && text.starts_with(kPackage)) value = text.substr(kPackage.size());
        const ValueType type = row->info.type;
        if (const auto number = type == ValueType::Integer ? parse_int(text) : std::nullopt) value = *number;
        if (const auto truth = type == ValueType::Boolean ? parse_truth(text) : std::nullopt) value = *truth;
    }
    return typed;
}

// stdout_stream.filename and the like: the stream as it is with one option changed.
Result<Effect> set_stream_option(WatcherConfig& config, std::string_view stream, std::string_view option,
                                 const Json& value) {
    auto& target = stream == "stdout_stream" ? config.stdout_stream : config.stderr_stream;
    const Json before = target ? stream_to_json(target) : Json::object();
    Json changed = before;
    if (option == "class") changed = Json::object();
    changed[std::string(option)] = value;
    if (option == "class" && target && value.is_string()) {
        // What the new class knows too is kept.
        for (const auto& [name, kept] : before.items()) {
            if (name == "class") continue;
            Json with = changed;
            with[name] = kept;
            std::optional<StreamConfig> ignored;
            if (parse_stream(ignored, with, stream).empty()) changed = std::move(with);
        }
    }
    changed = with_types(changed);
    return applied(parse_stream(target, changed, stream), changed, Effect::Respawn);
}

// Circus has these, this version has not; a silent "ok" would be a lie.
bool is_unavailable(std::string_view key) {
    const auto& names = unavailable_watcher_options();
    return std::find(names.begin(), names.end(), key) != names.end();
}

// As somebody is told who is to write a value of it.
const char* word_of(ValueType type) {
    switch (type) {
        case ValueType::Boolean:
            return "boolean";
        case ValueType::Integer:
        case ValueType::Signal:  // a message has its number
            return "integer";
        case ValueType::Number:
            return "number";
        case ValueType::Text:
        case ValueType::Octal:
            return "string";
        case ValueType::Size:
            return "size";
        default:
            return "any";
    }
}

const char* word_of(Effect effect) {
    switch (effect) {
        case Effect::Live:
            return "live";
        case Effect::Count:
            return "count";
        case Effect::Respawn:
            return "respawn";
        case Effect::Restart:
            break;
    }
    return "restart";
}

}  // namespace

Result<Effect> set_watcher_option(WatcherConfig& config, std::string_view key, const Json& value) {
    for (const std::string_view stream : {"stdout_stream", "stderr_stream"})
        if (key.size() > stream.size() + 1 && key.starts_with(stream) && key[stream.size()] == '.')
            return set_stream_option(config, stream, key.substr(stream.size() + 1), value);
    if (key.starts_with(kHooksPrefix))
        return applied(parse_hook(config.hooks, key.substr(kHooksPrefix.size()), value), value, Effect::Live);

    Fault fault{Fault::Kind::Unknown, std::string(key), {}, ValueType::Text, {}, {}, 3};
    if (is_unavailable(key)) {
        fault.kind = Fault::Kind::NotAvailable;
        return wire_error(fault, value);
    }
    // Circus's old word for the pause before another try. Errors name it as it was given.
    const auto* row = find_watcher_row(key == "retry_in" ? "max_backoff" : key);
    if (!row) {
        if (key.starts_with(kLimitPrefix))
            fault.wire = cat(circus::py_repr(key), " isn't a valid rlimit setting");
        return wire_error(fault, value);
    }
    // In a message a signal is a number, and there can be no fewer than no processes.
    if (row->info.type == ValueType::Signal && !value.is_number_integer())
        return wire_error(wrong_type(key, ValueType::Signal), value);
    if (row->info.type == ValueType::Stream && value.is_object()) {
        const Json typed = with_types(value);
        return applied(row->parse(config, typed, key), typed, row->info.effect);
    }
    if (row->info.effect == Effect::Count && value.is_number_integer() && value < 0)
        return applied(row->parse(config, 0, key), value, row->info.effect);
    return applied(row->parse(config, value, key), value, row->info.effect);
}

Status check_watcher(const WatcherConfig& config) {
    const Faults found = check_options(config);
    if (found.empty()) return Ok{};
    return wire_error(found.front(), config.cmd);
}

Json watcher_options_to_json(const WatcherConfig& config, const std::string& daemon_directory) {
    // Shown only when they were set: Circus's answer does not have them.
    static constexpr std::array kExtras = std::to_array<std::string_view>(
        {"umask",         "nice",        "oom_score_adj",     "no_new_privs",
         "min_uptime",    "max_backoff", "kill_tree",         "stop_command",
         "copy_path",     "virtualenv",  "virtualenv_py_ver", "ready",
         "ready_timeout", "reload_mode", "max_surge",         "max_unavailable",
         "depends_on",    "critical",    "memory_soft",       "memory_max"});
    static constexpr std::array<std::string_view, 3> kHidden{"autostart", "stdin_socket", "hooks"};
    static const WatcherConfig kDefaults;

    Json options = Json::object();
    for (const auto& row : watcher_rows()) {
        const std::string name(row.info.name);
        const auto is_row = [&name](std::string_view other) { return other == name; };
        if (row.info.type == ValueType::Rlimit || std::any_of(kHidden.begin(), kHidden.end(), is_row))
            continue;
        Json value = row.get(config);
        if (value.is_null() && config.from_file && (row.info.type == ValueType::Stream || name == "env"))
            value = Json::object();
        if (row.info.type == ValueType::Stream) {
            if (!value.is_null()) value.erase("class");
            options[name + "_conf"] = std::move(value);
            continue;
        }
        if (std::any_of(kExtras.begin(), kExtras.end(), is_row) && value == row.get(kDefaults)) continue;
        options[name] = std::move(value);
    }
    for (const auto& [name, text] : config.plugin_options) options[name] = Json::parse(text, nullptr, false);
    if (config.working_dir.empty()) options["working_dir"] = daemon_directory;
    // Circus's default is the integer 0; a whole number of seconds stays one.
    const double warmup = config.warmup_delay;
    if (std::trunc(warmup) == warmup) options["warmup_delay"] = static_cast<long long>(warmup);
    return options;
}

Json settable_options_to_json(const WatcherConfig& config) {
    Json options = Json::object();
    for (const auto& row : watcher_rows()) {
        const OptionInfo& info = row.info;
        if (!info.settable || info.type == ValueType::Rlimit || info.type == ValueType::Hooks) continue;
        options[std::string(info.name)] = {
            {"type", word_of(info.type)}, {"effect", word_of(info.effect)}, {"value", row.get(config)}};
    }
    return options;
}

Json global_options_to_json(const CircusConfig& config) {
    return {{"endpoint", config.endpoint},
            {"stats_endpoint", config.stats_endpoint},
            {"pubsub_endpoint", config.pubsub_endpoint},
            {"check_delay", config.check_delay},
            {"multicast_endpoint",
             config.multicast_endpoint.empty() ? std::string(kUsualMulticast) : config.multicast_endpoint}};
}

}  // namespace circus::config
