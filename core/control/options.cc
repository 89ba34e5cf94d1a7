// Commands that change what a watcher is: set, add, rm.
#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_table.hpp"
#include "control/handlers.hpp"
#include "control/owner_rule.hpp"
#include "control/properties.hpp"
#include "control/secrets.hpp"

namespace circus::control {

namespace {

using supervise::Watcher;

constexpr std::size_t kMaxName = 255;

// numprocesses as a message carries it may be any integer; one that no machine can run is refused.
Status check_count(const Json& options) {
    const auto at = options.find("numprocesses");
    if (at == options.end() || !at->is_number_integer()) return Ok{};
    const auto count = to_integer(*at);
    if (count && *count <= kMaxProcesses) return Ok{};
    return Error{cat("'numprocesses' is more than ", kMaxProcesses)};
}

WireOptions rows_of(const Json& options) {
    WireOptions rows;
    for (const auto& [key, value] : options.items()) rows.emplace_back(key, value);
    return rows;
}

void set(Context& context, const Json& properties, const Reply& reply) {
    Json options = properties["options"];
    if (const Status count = check_count(options); !count) return reply.error(count.error());
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    unmask_secrets(options, config::watcher_options_to_json(watcher->config(), context.arbiter.directory()));
    const WireOptions rows = rows_of(options);
    if (const Status may = may_set(context.arbiter.config(), watcher->config(), rows); !may)
        return reply.error(may.error());
    const Status status = context.arbiter.set_options(*watcher, rows, reply.at_end());
    if (!status) return reply.error(status.error());
    reply.began();
}

bool is_name(const std::string& name) {
    return !name.empty() && name.size() <= kMaxName && !to_lower(name).starts_with(config::kHiddenPrefix) &&
           std::none_of(name.begin(), name.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<config::WatcherConfig> described(const Json& properties) {
    config::WatcherConfig config;
    config.name = text_of(properties, "name");
    if (!is_name(config.name)) return Error{"'name' isn't a valid watcher name"};
    const auto apply = [&config](const std::string& key, const Json& value) -> Status {
        const auto effect = config::set_watcher_option(config, key, value);
        if (!effect) return effect.error();
        return Ok{};
    };
    if (const auto options = properties.find("options");
        options != properties.end() && options->is_object()) {
        if (const Status count = check_count(*options); !count) return count.error();
        for (const auto& [key, value] : options->items())
            if (const Status done = apply(key, value); !done) return done.error();
    }
    if (const Status done = apply("cmd", properties["cmd"]); !done) return done.error();
    if (has(properties, "args"))
        if (const Status done = apply("args", properties["args"]); !done) return done.error();
    if (const Status sound = config::check_watcher(config); !sound) return sound.error();
    return config;
}

void add(Context& context, const Json& properties, const Reply& reply) {
    auto config = described(properties);
    if (!config) return reply.error(config.error());
    const WireOptions options = has(properties, "options") ? rows_of(properties["options"]) : WireOptions();
    if (const Status may = may_add(context.arbiter.config(), *config, options); !may)
        return reply.error(may.error());
    const auto added = context.arbiter.add(std::move(*config));
    if (!added) return reply.error(added.error());
    if (!flag_of(properties, "start")) return reply.ok();
    context.arbiter.start(**added, reply.at_end([](const supervise::OpResult& result) -> Json {
        return {{"started", result.started}, {"kept", result.kept}};
    }));
    reply.began();
}

void rm(Context& context, const Json& properties, const Reply& reply) {
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    context.arbiter.remove(*watcher, flag_of(properties, "nostop"), reply.at_end());
    reply.began();
}

}  // namespace

std::vector<NamedHandler> option_handlers() {
    return {{"set", set}, {"add", add}, {"rm", rm}};
}

}  // namespace circus::control
