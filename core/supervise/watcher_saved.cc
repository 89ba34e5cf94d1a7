// A watcher that outlives its arbiter: what is saved of it, and how the next arbiter takes it over.
//
// Saved is what is wanted, and where it stands between a start and a stop; the processes are the keeper's to
// tell of. A hook that was being asked is asked again, a command that was run for its answer is ended.
// Whoever waited for an operation gets no answer: what it changed of the wanted is saved and is carried out.
// Who was not ready is waited for as before, and a canary is watched until the time that was said. Of the
// processes what the keeper cannot know is saved: who is to be replaced for its age or its memory, who is to
// be stopped and has not been told so, and a grace of one's own.
#include <algorithm>
#include <csignal>

#include <nlohmann/json.hpp>

#include "supervise/spawn_plan.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

using model::Phase;
using model::ProcessState;

namespace {

std::int64_t ticks_of(TimePoint at) {
    return at.time_since_epoch().count();
}

TimePoint time_of(std::int64_t ticks) {
    return TimePoint(Duration(ticks));
}

// Whoever is asked at the moment is asked again.
Phase before_asking(Phase phase) {
    switch (phase) {
        case Phase::BeforeStart:
        case Phase::Paused:
            return Phase::Closed;
        case Phase::AfterStart:
            return Phase::Open;
        case Phase::BeforeStop:
            return Phase::Started;
        case Phase::AfterStop:
            return Phase::Ending;
        default:
            return phase;
    }
}

}  // namespace

Json Watcher::saved() const {
    Json saved = {{"up", up_},
                  {"armed", armed_},
                  {"drain", drain_},
                  {"reloading", reloading_},
                  {"replacement", static_cast<int>(replacement_)},
                  {"surge", rollout_.surge},
                  {"unavailable", rollout_.unavailable},
                  {"canary", canary_.count},
                  {"gated", gated_},
                  {"started", reached_.started},
                  {"ready", reached_.ready},
                  {"completed", reached_.completed},
                  {"outdated_below", outdated_below_},
                  {"abandoned", abandoned_},
                  {"phase", static_cast<int>(before_asking(phase_))},
                  {"numprocesses", config_.numprocesses},
                  {"failures", failures_}};
    if (!gave_up_.empty()) saved["gave_up"] = gave_up_;
    Json slots = Json::array();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const Slot& s = slots_[i];
        if (s.delay == Duration::zero() && !s.spent) continue;
        slots.push_back({i + 1, s.delay.count(), ticks_of(s.not_before), s.spent});
    }
    if (!slots.empty()) saved["slots"] = std::move(slots);
    if (canary_.count > 0) {
        saved["canary_watch"] = canary_.watch.count();
        if (canary_.since) saved["canary_since"] = ticks_of(*canary_.since);
    }
    if (awaits_ready_) {
        Json unready = saved_unready();
        if (!unready.empty()) saved["unready"] = std::move(unready);
    }
    Json marks = saved_marks();
    if (!marks.empty()) saved["marks"] = std::move(marks);
    if (!has_lingering_) return saved;
    const Process::Lingers* longest = nullptr;
    for (const auto& [id, process] : processes_)
        if (process.lingers && (!longest || process.lingers->until > longest->until))
            longest = &*process.lingers;
    if (longest) saved["lingers"] = {ticks_of(longest->until), longest->until_idle};
    return saved;
}

Json Watcher::saved_unready() const {
    Json unready = Json::array();
    for (const auto& [id, process] : processes_) {
        const bool awaited = process.awaited || process.pid == 0;
        if (!awaited || process.stops != 0 || process.ready.kind == config::ReadyConfig::Kind::Spawned)
            continue;
        unready.push_back({id, static_cast<int>(process.ready.kind), process.ready.target,
                           process.ready_by ? Json(ticks_of(*process.ready_by)) : Json()});
    }
    return unready;
}

// Those that a reload replaces are known by their number.
Json Watcher::saved_marks() const {
    Json marks = Json::array();
    for (const auto& [id, process] : processes_) {
        const bool runs_on = process.pid == 0 || process.is_running();  // as far as the keeper knows
        const bool outdated = runs_on && process.outdated && id >= outdated_below_;
        const bool condemned = runs_on && process.condemned;
        if (process.stops != 0 || (!outdated && !condemned && !process.kill_timeout)) continue;
        marks.push_back({id, outdated, condemned, static_cast<int>(process.cause), process.why,
                         process.kill_signal ? Json(*process.kill_signal) : Json(),
                         process.kill_timeout ? Json(*process.kill_timeout) : Json(),
                         runs_on ? Json() : Json(ticks_of(process.grace_over))});
    }
    return marks;
}

void Watcher::restore(const Json& saved) {
    up_ = saved.at("up").get<bool>();
    gave_up_ = saved.value("gave_up", "");
    is_removed_ = saved.value("removed", false);
    armed_ = saved.at("armed").get<bool>();
    drain_ = saved.at("drain").get<bool>();
    reloading_ = saved.at("reloading").get<bool>();
    replacement_ = static_cast<model::Replacement>(saved.value("replacement", 0));
    rollout_ = {saved.value("surge", 1), saved.value("unavailable", 0)};
    canary_.count = saved.value("canary", 0);
    canary_.watch = Duration(saved.value("canary_watch", Duration::rep{}));
    if (const auto since = saved.find("canary_since"); since != saved.end())
        canary_.since = time_of(since->get<std::int64_t>());
    gated_ = saved.value("gated", false);
    reached_ = {saved.value("started", false), saved.value("ready", false), saved.value("completed", false)};
    outdated_below_ = saved.at("outdated_below").get<ChildId>();
    abandoned_ = hurried_ = saved.at("abandoned").get<bool>();
    phase_ = static_cast<Phase>(saved.at("phase").get<int>());
    config_.numprocesses = saved.at("numprocesses").get<int>();
    failures_ = saved.at("failures").get<int>();
    // Who was drained goes on so: all to the end of the longest patience.
    if (const auto at = saved.find("lingers"); at != saved.end())
        inherited_lingers_ = {time_of(at->at(0).get<std::int64_t>()), {}, at->at(1).get<bool>()};
    slots_.assign(static_cast<std::size_t>(std::max(0, config_.numprocesses)), Slot{});
    for (const Json& each : saved.value("slots", Json::array())) {
        const auto wid = each.at(0).get<model::Wid>();
        if (wid < 1 || wid > config_.numprocesses) continue;
        Slot& s = slot(wid);
        s.delay = Duration(each.at(1).get<std::int64_t>());
        s.not_before = time_of(each.at(2).get<std::int64_t>());
        s.spent = each.at(3).get<bool>();
    }
    for (const Json& each : saved.value("unready", Json::array())) {
        Unready& unready = unready_before_[each.at(0).get<ChildId>()];
        unready.ready.kind = static_cast<config::ReadyConfig::Kind>(each.at(1).get<int>());
        unready.ready.target = each.at(2).get<std::string>();
        if (!each.at(3).is_null()) unready.by = time_of(each.at(3).get<std::int64_t>());
    }
    for (const Json& each : saved.value("marks", Json::array())) {
        Marked& mark = marked_before_[each.at(0).get<ChildId>()];
        mark.outdated = each.at(1).get<bool>();
        mark.condemned = each.at(2).get<bool>();
        mark.cause = static_cast<model::EndCause>(each.at(3).get<int>());
        mark.why = each.at(4).get<std::string>();
        if (!each.at(5).is_null()) mark.kill_signal = each.at(5).get<int>();
        if (!each.at(6).is_null()) mark.kill_timeout = each.at(6).get<double>();
        if (!each.at(7).is_null()) mark.grace_over = time_of(each.at(7).get<std::int64_t>());
    }
}

void Watcher::take_marks(Process& process) {
    auto found = marked_before_.extract(process.id);
    if (found.empty()) return;
    Marked& mark = found.mapped();
    process.outdated = process.outdated || mark.outdated;
    process.condemned = mark.condemned;
    process.cause = mark.cause;
    process.why = std::move(mark.why);
    process.kill_signal = mark.kill_signal;
    process.kill_timeout = mark.kill_timeout;
    if (process.state != ProcessState::Stopping) return;
    // It was saved before it was told.
    if (!mark.grace_over && mark.kill_timeout)
        process.grace_over += from_seconds(*mark.kill_timeout - config_.graceful_timeout);
    process.grace_over = mark.grace_over.value_or(process.grace_over);
}

// Of two that run on with one wid the older is being replaced: what was done about that came to the keeper,
// and what was to be saved of it did not. Nor was it told that the newer one is ready.
void Watcher::mark_replaced() {
    std::map<model::Wid, Process*> newest;
    for (auto& [id, process] : processes_) {
        if (process.stops != 0 || !process.is_running() || process.outdated || process.condemned) continue;
        Process*& of_wid = newest[process.wid];
        if (Process* const older = std::exchange(of_wid, &process)) {
            older->outdated = true;
            await_anew(process);
        }
    }
}

void Watcher::await_anew(Process& process) {
    using Kind = config::ReadyConfig::Kind;
    // The line of a log may have been read.
    if (process.awaited || config_.ready.kind == Kind::Spawned || config_.ready.kind == Kind::Log) return;
    process.awaited = awaits_ready_ = true;
    process.ready = config_.ready;
    if (process.ready.kind != Kind::Exec)
        process.ready.target = fill_in(config_, process.ready.target, process.wid, stack_);
    process.ready_by = process.started + from_seconds(config_.ready_timeout);
}

void Watcher::watch_inherited(ChildId id, PipeId pipe) {
    const auto at = unready_before_.find(id);
    if (at == unready_before_.end() || at->second.ready.kind != config::ReadyConfig::Kind::Log) return;
    if (auto pattern = Pattern::compile(at->second.ready.target))
        stack_.streams.watch(pipe, std::move(*pattern), [this, id] { on_ready(id); });
}

void Watcher::adopt(const keeper::ChildMessage& facts, UniqueFd pidfd) {
    Process process;
    process.id = facts.id;
    process.wid = facts.note.wid;
    process.pid = facts.pid;
    process.pidfd = std::move(pidfd);
    process.stops = facts.note.stops;
    process.started = time_of(facts.started);
    process.started_wall = facts.started_wall;
    for (const PipeId pipe : facts.note.pipes)
        if (pipe != 0) process.pipes.push_back(pipe);
    const bool stopping = facts.stopping != 0 || process.stops != 0;
    process.state = stopping ? ProcessState::Stopping : ProcessState::Running;
    process.perhaps_sent = stopping;
    if (stopping)
        process.grace_over = time_of(facts.stopping != 0 ? facts.stopping : facts.started) +
                             from_seconds(config_.graceful_timeout);
    take_marks(process);
    if (process.stops == 0) {
        ++active_count_;
        process.outdated = process.outdated || process.id < outdated_below_;
        process.expires = expiry_of(process);
        last_spawn_ = std::max(last_spawn_.value_or(process.started), process.started);
    }
    if (const auto unready = unready_before_.find(process.id);
        unready != unready_before_.end() && !stopping) {
        process.awaited = awaits_ready_ = true;
        process.ready = unready->second.ready;
        process.ready_by = unready->second.by.value_or(process.started + from_seconds(config_.ready_timeout));
    }
    // It may be frozen: it was too many and had no connection in hand. Then its stop signal is next, or it is
    // looked at once more.
    if (process.stops == 0 && process.wid > config_.numprocesses) {
        if (!stopping && stack_.drain) process.lingers = inherited_lingers_;
        has_lingering_ = has_lingering_ || process.lingers;
        stack_.keeper.signal(process.id, SIGCONT, keeper::Scope::Process, 0, false);
    }
    owns_(*this, process.id);
    processes_.emplace(process.id, std::move(process));
}

void Watcher::resume() {
    unready_before_.clear();
    marked_before_.clear();
    mark_replaced();
    for (const auto& [id, process] : processes_) {
        if (process.awaited) ask_again(process);
        if (process.stops != 0 || !process.is_running() || process.wid > config_.numprocesses) continue;
        slot(process.wid).spawned = true;
        slot(process.wid).ran = slot(process.wid).ran || !process.awaited;
    }
    if (phase_ == Phase::Started)
        for (Slot& s : slots_) s.ran = s.spawned = true;
    // It was saved by a circusd that did not say for how long it is watched.
    if (reloading_ && canary_.count > 0 && canary_.watch == Duration::zero())
        end_reload(false, "the arbiter that watched its canary has died");
    // The state was saved before, what came of it after: there are processes of a start that was not noted.
    if (phase_ == Phase::Closed && !processes_.empty() && !abandoned_)
        phase_ = up_ && !drain_ ? Phase::Open : Phase::Ending;
    // Whoever is still of the configuration before may have sockets that the watcher uses no more.
    for (auto& [id, process] : processes_) {
        const bool was_replaced = process.outdated || is_removed_;
        if (process.stops != 0 || !was_replaced || !stack_.sockets.leaves(name(), process.wid)) continue;
        process.leaves_sockets = has_lingering_ = true;
        if (stack_.drain && process.is_running()) process.lingers = inherited_lingers_;
    }
    inherited_lingers_.reset();
    if (!has_lingering_ && !abandoned_) trim_sockets();  // its last one may have gone meanwhile
    look();
    mark_(*this);
}

}  // namespace circus::supervise
