#include "supervise/config_plan.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace circus::supervise {

namespace {

using config::Change;
using config::WatcherChange;
using config::WatcherConfig;

const WatcherConfig* find(const config::Config& config, const std::string& name) {
    const auto at =
        std::find_if(config.watchers.begin(), config.watchers.end(),
                     [&name](const auto& watcher) { return equals_ignoring_case(watcher.name, name); });
    return at == config.watchers.end() ? nullptr : &*at;
}

std::string why_kept(const std::string& name, const config::Config& running, const config::Config& file) {
    const WatcherConfig* const runs = find(running, name);
    const WatcherConfig* const says = find(file, name);
    const auto moved = runs && says ? config::changed_options(*says, *runs) : std::vector<std::string>{};
    return moved.empty() ? "unchanged" : cat("unchanged; at run time: ", join(moved, ", "));
}

void add_rest(const config::Difference& difference, ConfigPlan& plan) {
    for (const auto& socket : difference.sockets) {
        if (socket.from.empty())
            plan.sockets.emplace_back(socket.name, "new");
        else if (!socket.why.empty())
            plan.sockets.emplace_back(socket.name,
                                      cat(socket.bind ? "bound anew: " : "", join(socket.why, ", ")));
    }
    for (const auto& name : difference.removed_sockets) plan.sockets.emplace_back(name, "closed");
    for (const auto& plugin : difference.plugins) {
        const std::string why = join(plugin.why, ", ");
        if (plugin.change == Change::Added)
            plan.plugins.emplace_back(plugin.name, "new");
        else if (plugin.change == Change::Removed)
            plan.plugins.emplace_back(plugin.name, "stopped: not in the file");
        else if (plugin.change != Change::Kept)
            plan.plugins.emplace_back(
                plugin.name, cat(plugin.change == Change::Restart ? "restarted: " : "reconfigured: ", why));
    }
    for (const auto& option : difference.circus)
        plan.circus.emplace_back(option.option,
                                 option.live ? "in force" : "in force when circusd is started again");
}

}  // namespace

ConfigPlan plan_of(const config::Difference& difference, const config::Config& running,
                   const config::Config& file, const std::function<bool(const std::string&)>& is_up) {
    ConfigPlan plan;
    for (const WatcherChange& change : difference.watchers) {
        const std::string why = join(change.why, ", ");
        switch (change.change) {
            case Change::Kept:
                plan.kept.emplace_back(change.name, why_kept(change.name, running, file));
                break;
            case Change::Live:
            case Change::Count:
                plan.updated.emplace_back(change.name, why);
                break;
            case Change::Reload:
            case Change::Restart: {
                const WatcherConfig* const next = find(file, change.name);
                auto& entries = is_up(change.name)        ? plan.restarted
                                : next && next->autostart ? plan.started
                                                          : plan.updated;
                entries.emplace_back(change.name, why);
                break;
            }
            case Change::Added: {
                const WatcherConfig* const next = find(file, change.name);
                auto& entries = next && next->autostart ? plan.started : plan.updated;
                entries.emplace_back(change.name, "new");
                break;
            }
            case Change::Removed:
                plan.stopped.emplace_back(change.name, "not in the file");
                break;
        }
    }
    add_rest(difference, plan);
    return plan;
}

ConfigPlan plan_of_restart(const config::Difference& difference, const config::Config& file) {
    ConfigPlan plan;
    for (const WatcherChange& change : difference.watchers) {
        if (change.change == Change::Removed) {
            plan.stopped.emplace_back(change.name, "not in the file");
            continue;
        }
        const WatcherConfig* const next = find(file, change.name);
        if (next && !next->autostart)
            plan.stopped.emplace_back(change.name, "does not start by itself");
        else if (change.change == Change::Added)
            plan.started.emplace_back(change.name, "new");
        else
            plan.restarted.emplace_back(change.name, join(change.why, ", "));
    }
    add_rest(difference, plan);
    return plan;
}

}  // namespace circus::supervise
