// What was staged takes its place, and the watchers follow.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/arbiter.hpp"
#include "supervise/reconfiguration.hpp"

namespace circus::supervise {

namespace {

using config::Change;

void tell(const char* what, const ConfigPlan::Entries& entries) {
    for (const auto& [name, why] : entries)
        log::info(cat("configuration: ", what, " ", name, why.empty() ? "" : cat(" (", why, ")")));
}

void tell(const ConfigPlan& plan) {
    tell("[circus]", plan.circus);
    tell("socket", plan.sockets);
    tell("stopping watcher", plan.stopped);
    tell("updated watcher", plan.updated);
    tell("restarting watcher", plan.restarted);
    tell("starting watcher", plan.started);
    tell("plugin", plan.plugins);
}

}  // namespace

// ---- runs ----

Reconfiguration::RunId Reconfiguration::open_run() {
    const RunId id = next_run_++;
    Run& run = runs_[id];
    run.waiters = std::exchange(waiters_, {});
    run.plan = staged_->plan;
    run.open = 1;  // the beginning itself: no part may end the run before the last was added
    return id;
}

Done Reconfiguration::part_of(RunId id, std::string watcher, bool removal) {
    Run& run = runs_.at(id);
    ++run.open;
    if (removal) ++run.removing;
    return [this, id, watcher = std::move(watcher), removal](const Result<OpResult>& result) {
        const auto at = runs_.find(id);
        if (at == runs_.end()) return;  // cancelled
        if (!result) at->second.failed.push_back(cat("watcher ", watcher, ": ", result.error().text));
        if (removal && --at->second.removing == 0) start_added(id);
        close_part(id);
    };
}

void Reconfiguration::close_part(RunId id) {
    Run& run = runs_.at(id);
    if (--run.open > 0) return;
    const Run through = std::move(run);
    runs_.erase(id);
    if (through.failed.empty())
        end(through.waiters, through.plan);
    else
        end(through.waiters, Error{join(through.failed, "\n"), static_cast<int>(Errno::Command)});
    // Behind the answers in the same queue.
    arbiter_.finished_.emplace_back([daemon = daemon_](const Result<OpResult>&) { daemon->retire(); },
                                    OpResult{});
}

void Reconfiguration::start_added(RunId id) {
    std::vector<Watcher*> added;
    for (const auto& name : std::exchange(runs_.at(id).to_start, {}))
        if (Watcher* watcher = arbiter_.find(name)) added.push_back(watcher);
    if (!added.empty()) arbiter_.start_all(added, part_of(id, {}));
}

// ---- the switch ----

void Reconfiguration::switch_daemon() {
    arbiter_.sockets_.replace(std::move(*staged_->sockets), arbiter_.keeper_);
    arbiter_.look_at_all();  // who waits for a connection, waits on the sockets there are now
    daemon_->commit();
    daemon_->plugins(staged_->file.plugins);
    arbiter_.config_ = staged_->file;
    ++arbiter_.config_version_;
    tell(staged_->plan);
}

Watcher& Reconfiguration::place(const config::WatcherConfig& config) {
    Watcher& added = arbiter_.insert(config, staged_->identities.at(to_lower(config.name)));
    arbiter_.stack_.events.publish(config.name, "add", {{"time", arbiter_.stack_.clock.wall()}});
    return added;
}

// The worker's thread looked up whom the file names; what `set` said since is known to the watcher.
const Identity& Reconfiguration::identity_for(const Watcher& watcher,
                                              const config::WatcherConfig& wanted) const {
    config::WatcherConfig recounted = wanted;
    recounted.numprocesses = watcher.config().numprocesses;
    if (recounted == watcher.config()) return watcher.identity();
    return staged_->identities.at(to_lower(wanted.name));
}

// Order within a priority is the file's.
void Reconfiguration::renumber_places() {
    std::size_t place = 0;
    for (const auto& config : staged_->wanted.watchers)
        if (const Watcher* watcher = arbiter_.find(config.name)) arbiter_.places_[watcher] = place++;
    arbiter_.next_place_ = std::max(arbiter_.next_place_, place);
}

void Reconfiguration::carry_out() {
    switch_daemon();
    const RunId id = open_run();
    // The removed ones first: what comes may want their place.
    for (const auto& each : staged_->difference.watchers)
        if (each.change == Change::Removed)
            arbiter_.remove(*arbiter_.find(each.name), false, part_of(id, each.name, true));
    for (const auto& each : staged_->difference.watchers)
        if (each.change != Change::Kept && each.change != Change::Removed) change(runs_.at(id), id, each);
    renumber_places();
    if (runs_.at(id).removing == 0) start_added(id);
    staged_.reset();
    close_part(id);
    move_files();
}

// So far everything is memory, and an arbiter that dies has changed nothing. A path must not lead to a
// listener of which the next one knows nothing, nor to one that no worker is going to get.
void Reconfiguration::move_files() {
    arbiter_.save_wanted();
    arbiter_.sockets_.move_files();
}

void Reconfiguration::change(Run& run, RunId id, const config::WatcherChange& change) {
    Watcher* const watcher = arbiter_.find(change.name);
    const auto& all = staged_->wanted.watchers;
    const config::WatcherConfig& wanted =
        *std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == change.name; });
    if (change.change == Change::Added) {
        place(wanted);
        if (wanted.autostart) run.to_start.push_back(change.name);
        return;
    }
    for (std::size_t i = 0; i < change.why.size(); ++i)
        arbiter_.stack_.events.publish(wanted.name, "updated", {{"time", arbiter_.stack_.clock.wall()}});
    const bool replaces = change.change == Change::Reload || change.change == Change::Restart;
    // As in Circus, one that the operator stopped is started by a change for which it would be started anew;
    // and so is one that is to start by itself from now on.
    const bool starts = !watcher->is_up() && wanted.autostart && (replaces || !watcher->config().autostart);
    watcher->reconfigure(wanted, identity_for(*watcher, wanted), change.change == Change::Reload,
                         starts ? Done{} : part_of(id, change.name));
    arbiter_.mark(*watcher);
    if (starts)
        arbiter_.start(*watcher, part_of(id, change.name));
    else if (change.change == Change::Restart && watcher->is_up())
        arbiter_.restart(*watcher, part_of(id, change.name));
}

// ---- a restart of everything ----

void Reconfiguration::on_all_stopped() {
    start_anew();
    next();
}

void Reconfiguration::start_anew() {
    switch_daemon();
    const RunId id = open_run();
    std::vector<Watcher*> to_start;
    for (Watcher* watcher : arbiter_.watchers()) {
        const auto& all = staged_->file.watchers;
        if (std::none_of(all.begin(), all.end(), [watcher](const auto& config) {
                return equals_ignoring_case(config.name, watcher->name());
            }))
            arbiter_.remove(*watcher, false, part_of(id, watcher->name()));
    }
    for (const auto& config : staged_->file.watchers) {
        Watcher* watcher = arbiter_.find(config.name);
        if (watcher) {
            // Up: somebody started it meanwhile. Then it ran by the old configuration.
            watcher->reconfigure(config, identity_for(*watcher, config), watcher->is_up(), {});
            arbiter_.mark(*watcher);
        } else {
            watcher = &place(config);
        }
        if (config.autostart) to_start.push_back(watcher);
    }
    renumber_places();
    arbiter_.start_all(to_start, part_of(id, {}));
    staged_.reset();
    close_part(id);
    move_files();
}

}  // namespace circus::supervise
