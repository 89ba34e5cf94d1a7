#include "config/diff.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_row.hpp"
#include "config/substitute.hpp"

namespace circus::config {
namespace {

template <class Named>
const Named* find(const std::vector<Named>& all, std::string_view name) {
    const auto found = std::find_if(
        all.begin(), all.end(), [name](const Named& each) { return equals_ignoring_case(each.name, name); });
    return found == all.end() ? nullptr : &*found;
}

template <class Section>
bool same(const Row<Section>& row, const Section& a, const Section& b) {
    return row.same ? row.same(a, b) : row.get(a) == row.get(b);
}

Change change_of(Effect effect) {
    switch (effect) {
        case Effect::Live:
            return Change::Live;
        case Effect::Count:
            return Change::Count;
        case Effect::Respawn:
            return Change::Reload;
        case Effect::Restart:
            return Change::Restart;
    }
    return Change::Restart;
}

void note(WatcherChange& change, Change what, std::string why) {
    change.change = std::max(change.change, what);
    change.why.push_back(std::move(why));
}

// Each limit is an option of its own; they share one row.
void compare_rlimits(const WatcherConfig& a, const WatcherConfig& b, WatcherChange& change) {
    std::set<std::string> limits;
    for (const auto* config : {&a, &b})
        for (const auto& [limit, setting] : config->rlimits) limits.insert(limit);
    const auto setting_of = [](const WatcherConfig& config, const std::string& limit) {
        const auto at = config.rlimits.find(limit);
        return at == config.rlimits.end() ? std::nullopt : std::optional(at->second);
    };
    for (const auto& limit : limits)
        if (setting_of(a, limit) != setting_of(b, limit)) note(change, Change::Reload, cat("rlimit_", limit));
}

void compare_options(const WatcherConfig& a, const WatcherConfig& b, WatcherChange& change) {
    if (a == b) return;
    for (const auto& row : watcher_rows()) {
        if (row.info.type == ValueType::Rlimit)
            compare_rlimits(a, b, change);
        else if (!same(row, a, b))
            // The same words written in another way concern only whom is shown them.
            note(change,
                 row.info.name == "args" && a.args == b.args ? Change::Live : change_of(row.info.effect),
                 std::string(row.info.name));
    }
    std::set<std::string> overrides;
    for (const auto* config : {&a, &b})
        for (const auto& [name, value] : config->plugin_options) overrides.insert(name);
    const auto override_of = [](const WatcherConfig& config, const std::string& name) {
        const auto at = config.plugin_options.find(name);
        return at == config.plugin_options.end() ? std::string() : at->second;
    };
    for (const auto& name : overrides)
        if (override_of(a, name) != override_of(b, name)) note(change, Change::Live, name);
    if (a.name != b.name) note(change, Change::Live, "name");
}

// ---- plugins ----

PluginChange compare_plugin(const PluginConfig& a, const PluginConfig& b) {
    PluginChange change{b.name, Change::Kept, {}};
    const auto differs = [&change](bool other, Change what, std::string why) {
        if (!other) return;
        change.change = std::max(change.change, what);
        change.why.push_back(std::move(why));
    };
    differs(a.file != b.file || a.use != b.use, Change::Restart, "use");
    differs(a.version != b.version || a.unusable != b.unusable, Change::Restart, "library");
    differs(a.isolate != b.isolate, Change::Restart, "isolate");
    differs(a.active != b.active, Change::Restart, "active");
    differs(a.priority != b.priority, Change::Live, "priority");
    const Json was = Json::parse(a.options, nullptr, false);
    const Json will = Json::parse(b.options, nullptr, false);
    std::set<std::string> names;
    for (const Json* options : {&was, &will})
        if (options->is_object())
            for (const auto& option : options->items()) names.insert(option.key());
    const auto value_of = [](const Json& options, const std::string& name) {
        return options.is_object() && options.contains(name) ? options[name] : Json();
    };
    for (const auto& name : names) differs(value_of(was, name) != value_of(will, name), Change::Live, name);
    return change;
}

// ---- sockets ----

SocketConfig nameless(SocketConfig config) {
    config.name.clear();
    return config;
}

SocketChange compare_socket(const SocketConfig& a, const SocketConfig& b) {
    SocketChange change{b.name, a.name, false, false, {}};
    for (const auto& row : socket_rows()) {
        if (same(row, a, b)) continue;
        change.why.emplace_back(row.info.name);
        change.bind = change.bind || row.info.effect == Effect::Restart;
        change.replaces_users = change.replaces_users || row.info.effect != Effect::Live;
    }
    return change;
}

// Which sockets a worker gets, and which of them were touched.
class SocketUse {
  public:
    SocketUse(const std::vector<SocketConfig>& current, const std::vector<SocketConfig>& next,
              const std::vector<SocketChange>& changes)
        : current_(names_of(current)), next_(names_of(next)) {
        for (const auto& change : changes)
            if (change.replaces_users) touched_.insert(to_lower(change.name));
        for (const auto& name : current_)
            if (std::find(next_.begin(), next_.end(), name) == next_.end()) touched_.insert(name);
    }

    void compare(const WatcherConfig& watcher, WatcherChange& change) const {
        std::vector<std::string> used = named_sockets(watcher);
        const bool all = watcher.use_sockets && used.empty();
        if (all) used.assign(touched_.begin(), touched_.end());
        if (!watcher.stdin_socket.empty()) used.push_back(to_lower(watcher.stdin_socket));
        const auto before = change.why.size();
        for (const auto& name : used)
            if (touched_.contains(name)) note(change, Change::Reload, cat("socket ", name));
        // Who names none finds them by their order.
        if (all && change.why.size() == before && current_ != next_)
            note(change, Change::Reload, "order of the sockets");
    }

  private:
    static std::vector<std::string> names_of(const std::vector<SocketConfig>& sockets) {
        std::vector<std::string> names;
        names.reserve(sockets.size());
        for (const auto& socket : sockets) names.push_back(to_lower(socket.name));
        return names;
    }
    std::vector<std::string> current_, next_;  // in lower case, in order
    std::set<std::string> touched_;
};

}  // namespace

std::vector<SocketChange> diff_sockets(const std::vector<SocketConfig>& current,
                                       const std::vector<SocketConfig>& next) {
    std::set<std::string> renamed;
    std::vector<SocketChange> changes;
    changes.reserve(next.size());
    for (const auto& socket : next) {
        if (const SocketConfig* old = find(current, socket.name)) {
            changes.push_back(compare_socket(*old, socket));
            continue;
        }
        SocketChange added{socket.name, {}, true, true, {}};
        for (const auto& old : current) {
            if (find(next, old.name) || renamed.contains(old.name) || nameless(old) != nameless(socket))
                continue;
            renamed.insert(old.name);
            added.from = old.name;
            added.bind = false;
            added.why.push_back(cat("renamed from ", old.name));
            break;
        }
        changes.push_back(std::move(added));
    }
    return changes;
}

std::vector<std::string> changed_options(const WatcherConfig& current, const WatcherConfig& next) {
    WatcherChange change;
    compare_options(current, next, change);
    return std::move(change.why);
}

Difference diff(const Config& current, const Config& next) {
    Difference difference;
    for (const auto& row : circus_rows())
        if (!same(row, current.circus, next.circus))
            difference.circus.push_back({std::string(row.info.name), row.info.effect == Effect::Live});

    difference.sockets = diff_sockets(current.sockets, next.sockets);
    for (const auto& socket : current.sockets)
        if (std::none_of(difference.sockets.begin(), difference.sockets.end(),
                         [&](const auto& change) { return change.from == socket.name; }))
            difference.removed_sockets.push_back(socket.name);

    const SocketUse use(current.sockets, next.sockets, difference.sockets);
    for (const auto& watcher : next.watchers) {
        WatcherChange change{watcher.name, Change::Kept, {}};
        if (const WatcherConfig* old = find(current.watchers, watcher.name)) {
            compare_options(*old, watcher, change);
            use.compare(watcher, change);
            // Workers without a umask of their own have the daemon's.
            if (!watcher.umask && current.circus.umask != next.circus.umask)
                note(change, Change::Reload, "umask of [circus]");
        } else {
            change.change = Change::Added;
        }
        difference.watchers.push_back(std::move(change));
    }
    for (const auto& watcher : current.watchers)
        if (!find(next.watchers, watcher.name))
            difference.watchers.push_back({watcher.name, Change::Removed, {}});
    for (const auto& plugin : next.plugins) {
        const PluginConfig* const old = find(current.plugins, plugin.name);
        difference.plugins.push_back(old ? compare_plugin(*old, plugin)
                                         : PluginChange{plugin.name, Change::Added, {}});
    }
    for (const auto& plugin : current.plugins)
        if (!find(next.plugins, plugin.name))
            difference.plugins.push_back({plugin.name, Change::Removed, {}});
    return difference;
}

CircusConfig in_force(const CircusConfig& current, const CircusConfig& next) {
    CircusConfig result = next;
    for (const auto& row : circus_rows())
        if (row.info.effect != Effect::Live) row.copy(result, current);
    return result;
}

Config merge(const Config& before, const Config& running, Config next) {
    for (auto& watcher : next.watchers) {
        const WatcherConfig* const was = find(before.watchers, watcher.name);
        const WatcherConfig* const runs = find(running.watchers, watcher.name);
        if (!was || !runs) continue;
        WatcherConfig recounted = watcher;
        recounted.numprocesses = was->numprocesses;
        if (recounted != *was) continue;
        const int count =
            watcher.numprocesses == was->numprocesses ? runs->numprocesses : watcher.numprocesses;
        watcher = *runs;
        watcher.numprocesses = count;
    }
    return next;
}

}  // namespace circus::config
