// settle(): carries out the difference between wanted and current, and finishes who waited for it.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/substitute.hpp"
#include "supervise/spawn_plan.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

using model::ProcessEvent;

void Watcher::publish(const char* event) {
    stack_.events.publish(name(), event, {{"time", stack_.clock.wall()}});
}

void Watcher::publish_pid(const char* event, pid_t pid) {
    stack_.events.publish(name(), event, {{"process_pid", pid}, {"time", stack_.clock.wall()}});
}

model::WatcherView Watcher::view() const {
    model::WatcherView view;
    view.up = up_;
    view.drain = drain_;
    view.armed = armed_;
    view.finishing = draining_ > 0 || phase_ != model::Phase::Closed;
    view.hold_spawn = !may_spawn(phase_);
    view.hold_stop = phase_ == model::Phase::BeforeStop;
    view.await_not_before = await_not_before_;
    view.numprocesses = config_.numprocesses;
    view.replacement = reloading_ || !config_.max_surge ? replacement_ : model::Replacement::Rolling;
    view.rollout =
        reloading_ ? rollout_ : model::Rollout{config_.max_surge.value_or(1), config_.max_unavailable};
    view.canary = canary_;
    view.reloading = reloading_;
    view.warmup = from_seconds(config_.warmup_delay);
    view.last_spawn = last_spawn_;
    view.slots.reserve(slots_.size());
    for (const Slot& s : slots_)
        view.slots.push_back(
            {static_cast<model::Wid>(view.slots.size() + 1), s.not_before, s.spent, s.asked});
    view.processes.reserve(processes_.size());
    for (const auto& [id, p] : processes_)
        view.processes.push_back(
            {p.stops == 0 ? p.wid : 0, p.state, p.outdated, p.condemned, p.started, p.grace_over, p.expires,
             p.unproven || p.awaited, p.lingers ? std::optional(p.lingers->until) : std::nullopt,
             p.lingers ? p.lingers->look_at : TimePoint{}, p.leaves_sockets, p.ready_by});
    return view;
}

std::optional<TimePoint> Watcher::settle() {
    if (abandoned_) {
        tell_slots();
        return std::nullopt;
    }
    std::optional<TimePoint> hook_alarm;  // of hooks, and of checks for readiness
    if (hooks_) hook_alarm = hooks_->settle();
    if (checks_)
        if (const auto alarm = checks_->settle(); alarm && (!hook_alarm || *alarm < *hook_alarm))
            hook_alarm = alarm;
    walk();
    if (std::exchange(look_, false)) compare();
    // What came of it changes what is wanted: one that was late, a plan given up.
    if (look_) mark_(*this);
    announce();
    if (walk()) {
        // What may be done now was not yet when it was looked at.
        look();
        mark_(*this);
    }
    tell_slots();
    finish_waiters();
    std::optional<TimePoint> next = look_again_;
    if (hook_alarm && (!next || *hook_alarm < *next)) next = hook_alarm;
    if (phase_ == model::Phase::Paused && (!next || ask_again_ < *next)) next = ask_again_;
    return next;
}

void Watcher::compare() {
    // A spawn that fails before it reaches the keeper changes what is wanted, hence the second look; bounded,
    // since each round needs such a failure and its back-off keeps that slot from the next.
    let_idle_go();
    for (int round = 0; round < 3; ++round) {
        const model::Plan plan = model::reconcile(view(), stack_.clock.now());
        std::vector<Process*> order;
        order.reserve(processes_.size());
        for (auto& [id, process] : processes_) order.push_back(&process);
        const bool done = carry_out(plan, order);
        look_again_ = plan.look_again;
        if (plan.await && !awaiting_) log::info(cat("watcher ", name(), " waits for a connection"));
        awaiting_ = plan.await;
        // A grace that begins now ends at a time the plan could not know yet.
        for (const std::size_t i : plan.stop)
            if (!look_again_ || order[i]->grace_over < *look_again_) look_again_ = order[i]->grace_over;
        if (done) break;
    }
}

bool Watcher::carry_out(const model::Plan& plan, const std::vector<Process*>& order) {
    for (const std::size_t i : plan.expired) {
        order[i]->outdated = true;
        order[i]->cause = model::EndCause::Age;
    }
    for (const std::size_t i : plan.late) was_late(*order[i]);
    if (plan.canary_begins) {
        canary_.since = stack_.clock.now();
        log::info(cat("watcher ", name(), ": reload: ", canary_.count, " new processes are watched for ",
                      to_seconds(canary_.watch), " s"));
    }
    if (plan.canary_passed) {
        canary_ = {};
        log::info(cat("watcher ", name(), ": reload: the first new processes did well, the others follow"));
    }
    // reload: spawn… kill…; the plan never stops an outdated process before its replacement runs.
    for (const std::size_t i : plan.stop) {
        Process& process = *order[i];
        const Duration grace = from_seconds(process.kill_timeout.value_or(config_.graceful_timeout));
        process.grace_over = stack_.clock.now() + grace;
        stop_awaiting(process);
        act(process, process.apply(ProcessEvent::Stop));
    }
    for (const std::size_t i : plan.kill) act(*order[i], order[i]->apply(ProcessEvent::GraceOver));
    const bool asks = !plan.spawn.empty() && is_hooked(model::HookPoint::BeforeSpawn);
    bool all_well = true;
    for (const model::Wid wid : plan.spawn) {
        const bool was_reloading = reloading_;
        if (asks && !slot(wid).cleared)
            ask_before_spawn(wid);
        else
            all_well = spawn(wid) && all_well;
        // It was given up: the rest was planned for something else.
        if (!up_ || reloading_ != was_reloading) break;
    }
    return all_well;
}

bool Watcher::spawn(model::Wid wid) {
    last_spawn_ = stack_.clock.now();
    slot(wid).cleared = false;
    const ChildId id = stack_.next_id++;
    auto request = make_request(config_, identity_, wid, id, stack_);
    if (!request) {
        spawn_failed(wid, request.error(), true);
        return false;
    }
    if (auto status = add_sockets(config_, wid, stack_, *request); !status) {
        spawn_failed(wid, status.error(), true);
        return false;
    }
    Process process;
    process.id = id;
    process.wid = wid;
    process.ready = config_.ready;
    awaits_ready_ = awaits_ready_ || process.ready.kind != config::ReadyConfig::Kind::Spawned;
    std::vector<UniqueFd> write_ends;
    Status status = open_streams(config_, wid, stack_, *request, process.pipes, write_ends);
    if (status) status = prepare_ready(process, *request);
    if (!status) {
        for (const PipeId pipe : process.pipes) stack_.streams.discard(pipe);
        spawn_failed(wid, status.error(), true);
        return false;
    }
    request->note.owner = serial_;
    owns_(*this, id);
    processes_.emplace(id, std::move(process));
    stack_.keeper.spawn(id, *request);
    return true;
}

void Watcher::fail_waiters(std::initializer_list<Await> those, const std::string& why) {
    std::vector<Waiter> kept;
    for (Waiter& waiter : waiters_) {
        if (std::find(those.begin(), those.end(), waiter.what) != those.end())
            finish_(std::move(waiter.done), Error{why, 5});
        else
            kept.push_back(std::move(waiter));
    }
    waiters_ = std::move(kept);
}

void Watcher::announce() {
    if (up_ && !drain_) {
        reached_.started = reached_.started || all_spawned();
        if (reloading_ && !has_outdated()) {
            // A program that ends at once may never run in every slot at the same moment: what ran counts.
            std::vector<bool> ran(static_cast<std::size_t>(config_.numprocesses), false);
            for (const auto& [id, process] : processes_)
                if (process.counts() && process.wid <= config_.numprocesses)
                    ran[static_cast<std::size_t>(process.wid - 1)] = true;
            for (std::size_t i = 0; i < ran.size() && i < slots_.size(); ++i)
                if (slots_[i].renewed) ran[i] = true;
            if (std::all_of(ran.begin(), ran.end(), [](bool did) { return did; })) end_reload(true, {});
        }
        // Without respawn a watcher whose processes have all ended is stopped.
        const bool spent = !config_.respawn && config_.numprocesses > 0 && processes_.empty() &&
                           std::all_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.spent; });
        if (spent) {
            up_ = false;
            reached_.completed = last_code_ == 0;
            ended_for_good(last_code_);
        }
    }
}

void Watcher::ended_for_good(int code) {
    end_ = code >= 0 ? code : 128 - code;
}

bool Watcher::is_through(const Waiter& waiter) const {
    switch (waiter.what) {
        case Await::Up:
            return up_ ? phase_ == model::Phase::Started && all_ran() : is_gone();
        case Await::Down:
            return is_gone() || (up_ && !drain_);
        case Await::Reloaded:
            return !up_ || (!drain_ && !reloading_);
        case Await::Count:
            // While a hook holds up the start there is nothing to count.
            return !up_ || !has_begun(phase_) ||
                   (!drain_ && all_ran() &&
                    std::none_of(processes_.begin(), processes_.end(),
                                 [this](const auto& row) { return row.second.wid > config_.numprocesses; }));
        case Await::Killed:
            return std::none_of(waiter.victims.begin(), waiter.victims.end(),
                                [this](ChildId id) { return processes_.contains(id); });
    }
    return true;
}

OpResult Watcher::result_of(const Waiter& waiter) const {
    std::vector<pid_t> after;
    for (const Process* process : active()) after.push_back(process->pid);
    std::sort(after.begin(), after.end());
    OpResult result;
    std::set_difference(after.begin(), after.end(), waiter.before.begin(), waiter.before.end(),
                        std::back_inserter(result.started));
    std::set_difference(waiter.before.begin(), waiter.before.end(), after.begin(), after.end(),
                        std::back_inserter(result.stopped));
    std::set_intersection(after.begin(), after.end(), waiter.before.begin(), waiter.before.end(),
                          std::back_inserter(result.kept));
    return result;
}

void Watcher::finish_waiters() {
    std::vector<Waiter> kept;
    for (Waiter& waiter : waiters_) {
        if (is_through(waiter))
            finish_(std::move(waiter.done), result_of(waiter));
        else
            kept.push_back(std::move(waiter));
    }
    waiters_ = std::move(kept);
}

}  // namespace circus::supervise
