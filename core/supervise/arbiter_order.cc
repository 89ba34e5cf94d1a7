// Who waits for whom: depends_on and priorities; a critical watcher's end; and the rounds of MemoryWatch.
#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/dependencies.hpp"
#include "model/order.hpp"
#include "supervise/arbiter.hpp"

namespace circus::supervise {

namespace {

using config::Dependency;
using model::DependencyGoal;
using model::DependencyState;

DependencyGoal goal_of(Dependency::Until until) {
    switch (until) {
        case Dependency::Until::Started:
            return DependencyGoal::Started;
        case Dependency::Until::Ready:
            return DependencyGoal::Ready;
        case Dependency::Until::Completed:
            return DependencyGoal::Completed;
    }
    return DependencyGoal::Ready;
}

DependencyState state_of(const Dependency& on, const Watcher* watcher) {
    if (!watcher) return DependencyState::Hopeless;
    return model::state_of(goal_of(on.until), watcher->reached(), watcher->is_up(), watcher->is_armed());
}

}  // namespace

// Highest priority first, within one the order of the configuration, nobody before those it depends on.
std::vector<std::vector<std::string>> Arbiter::by_priority(const std::vector<Watcher*>& watchers) const {
    std::vector<Watcher*> sorted = watchers;
    std::sort(sorted.begin(), sorted.end(),
              [this](const Watcher* a, const Watcher* b) { return places_.at(a) < places_.at(b); });
    std::vector<model::Ordered> all;
    all.reserve(sorted.size());
    for (const Watcher* watcher : sorted) {
        model::Ordered& row = all.emplace_back();
        row.priority = watcher->config().priority;
        for (const Dependency& on : watcher->config().depends_on) {
            const auto at = std::find(sorted.begin(), sorted.end(), find(on.name));
            if (at != sorted.end()) row.depends_on.push_back(static_cast<std::size_t>(at - sorted.begin()));
        }
    }
    std::vector<std::vector<std::string>> groups;
    for (const auto& group : model::in_groups(all)) {
        auto& names = groups.emplace_back();
        for (const std::size_t i : group) names.push_back(to_lower(sorted[i]->name()));
    }
    return groups;
}

// As the configuration's loader does it, for what comes over the wire.
Status Arbiter::check_dependencies_with(const config::WatcherConfig& changed) const {
    if (changed.depends_on.empty() && changed.respawn) return Ok{};
    std::vector<config::WatcherConfig> all;
    for (const Watcher* watcher : this->watchers())
        if (!equals_ignoring_case(watcher->name(), changed.name)) all.push_back(watcher->config());
    all.push_back(changed);
    const auto faults = config::check_dependencies(all);
    // Of others there may be some that wait for what was removed: that is not this one's mistake.
    for (const auto& fault : faults)
        if (fault.watcher + 1 == all.size() || fault.text.find(changed.name) != std::string::npos)
            return Error{cat("depends_on of ", all[fault.watcher].name, ": ", fault.text),
                         static_cast<int>(Errno::Message)};
    return Ok{};
}

// Who starts, starts what it needs: what is down, and has not done already what it is needed for.
void Arbiter::start_dependencies(const Watcher& watcher) {
    for (const Dependency& on : watcher.config().depends_on) {
        Watcher* const needed = find(on.name);
        if (!needed || needed->is_up() || state_of(on, needed) == DependencyState::Met) continue;
        start_dependencies(*needed);
        log::info(cat("watcher ", needed->name(), " is started, because ", watcher.name(), " depends on it"));
        needed->start({});
        mark(*needed);
    }
}

DependencyState Arbiter::gate(const Watcher& watcher, std::string& why) {
    std::vector<std::string> awaited;
    for (const Dependency& on : watcher.config().depends_on) {
        const Watcher* const needed = find(on.name);
        const DependencyState state = state_of(on, needed);
        if (state == DependencyState::Awaited) awaited.push_back(on.name);
        if (state != DependencyState::Hopeless) continue;
        why = !needed                                    ? cat("there is no watcher ", on.name)
              : on.until == Dependency::Until::Completed ? cat(on.name, " did not complete")
                                                         : cat(on.name, " is stopped");
        return state;
    }
    if (awaited.empty()) return DependencyState::Met;
    why = join(awaited, ", ");
    if (Watcher* const self = find(watcher.name())) held_.insert(self);
    return DependencyState::Awaited;
}

// Something of it may have changed. Those that wait look for themselves.
void Arbiter::release_dependents(const Watcher& of) {
    for (Watcher* watcher : held_) {
        const auto& needs = watcher->config().depends_on;
        const bool waits = std::any_of(needs.begin(), needs.end(), [&of](const Dependency& on) {
            return equals_ignoring_case(on.name, of.name());
        });
        if (!waits || !watcher->is_up()) continue;
        watcher->look();
        mark(*watcher);
    }
    std::erase_if(held_, [](const Watcher* watcher) { return !watcher->is_held_back(); });
}

void Arbiter::obey_critical(Watcher& watcher) {
    const auto code = watcher.take_end();
    if (!code || quitting_ || !watcher.config().critical) return;
    log::error(
        cat("watcher ", watcher.name(), " is critical and has ended: circusd stops, with exit code ", *code));
    exit_code_ = *code;
    quit({});
}

// ---- memory ----

namespace {
bool has_limit(const Watcher& watcher) {
    return watcher.config().memory_soft.bytes != 0 || watcher.config().memory_max.bytes != 0;
}
}  // namespace

void Arbiter::watch_memory() {
    const bool wanted = std::any_of(watchers_.begin(), watchers_.end(), [](const auto& row) {
        return has_limit(*row.second) && row.second->active_count() > 0;
    });
    memory_.want(wanted, stack_.clock.now());
}

void Arbiter::look_at_memory(TimePoint now) {
    std::vector<MemoryWatch::Subject> subjects;
    for (const auto& [key, watcher] : watchers_) {
        if (!has_limit(*watcher)) continue;
        for (const Process* process : watcher->active()) subjects.push_back({process->id, process->pid});
    }
    memory_.look(now, std::move(subjects), [this](const MemoryWatch::Uses& uses) {
        for (const auto& [key, watcher] : watchers_) {
            if (!has_limit(*watcher)) continue;
            watcher->on_memory(uses);
            mark(*watcher);
        }
    });
}

}  // namespace circus::supervise
