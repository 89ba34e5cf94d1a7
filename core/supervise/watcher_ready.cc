// When a process counts: `ready`, from its spawn to the moment that it is ready, or has failed to become so.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/spawn_plan.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

using Kind = config::ReadyConfig::Kind;

ReadyChecks& Watcher::checks() {
    if (!checks_)
        checks_ = std::make_unique<ReadyChecks>(
            config_, identity_, stack_, [this](ChildId id) { owns_(*this, id); }, [this] { mark_(*this); },
            [this](ChildId id) { became_ready(id); });
    return *checks_;
}

std::size_t Watcher::ready_count() const {
    return static_cast<std::size_t>(std::count_if(processes_.begin(), processes_.end(), [](const auto& row) {
        return row.second.is_active() && row.second.counts();
    }));
}

// What is looked at is known for this worker now, and wrong ones are found before it runs.
Status Watcher::prepare_ready(Process& process, keeper::SpawnRequest& request) {
    if (process.ready.kind != Kind::Exec)
        process.ready.target = fill_in(config_, process.ready.target, process.wid, stack_);
    if (process.ready.kind == Kind::Log) return watch_output(process);
    if (process.ready.kind != Kind::Notify) return Ok{};
    if (!stack_.notify) return Error{"ready = \"notify\": there is no socket to listen at"};
    const auto address = stack_.notify->address();
    if (!address) return address.error();
    set_variable(request.envp, "NOTIFY_SOCKET", *address);
    return Ok{};
}

Status Watcher::watch_output(const Process& process) {
    const auto pattern = Pattern::compile(process.ready.target);
    if (!pattern) return Error{cat("ready.log: ", pattern.error().text)};
    for (const PipeId pipe : process.pipes)
        stack_.streams.watch(pipe, *pattern, [this, id = process.id] { on_ready(id); });
    return Ok{};
}

void Watcher::await_ready(Process& process) {
    process.awaited = true;
    if (process.state != model::ProcessState::Idle) return;  // it is to end: nobody asks
    process.ready_by = process.started + from_seconds(config_.ready_timeout);
    checks().begin(process);
}

// The arbiter before waited for it. What it has said meanwhile is in its pipe or in the socket.
void Watcher::ask_again(const Process& process) {
    if (process.ready.kind == Kind::Notify && stack_.notify)
        if (const auto address = stack_.notify->address(); !address)
            log::error(cat("watcher ", name(), ": ", address.error().text));
    checks().begin(process);
}

void Watcher::on_ready(ChildId id) {
    if (checks_) checks_->found(id);
}

void Watcher::on_looked(ChildId id, const Status& answered) {
    if (checks_) checks_->looked(id, answered);
}

void Watcher::became_ready(ChildId id) {
    const auto at = processes_.find(id);
    if (at == processes_.end()) return;
    Process& process = at->second;
    process.awaited = false;
    process.ready_by.reset();
    forget_failures();
    look();
    stack_.events.publish(
        name(), "ready", {{"process_pid", process.pid}, {"wid", process.wid}, {"time", stack_.clock.wall()}});
    log::info(cat("watcher ", name(), ": process ", process.pid, " (wid ", process.wid, ") is ready"));
    if (!process.unproven) prove(process.wid);
}

// Whatever becomes of it now, nobody waits for it.
void Watcher::stop_awaiting(Process& process) {
    process.ready_by.reset();
    if (checks_) checks_->forget(process.id);
}

void Watcher::was_late(Process& process) {
    const std::string why = cat("was not ready within ", config_.ready_timeout, " s",
                                checks_ ? checks_->trouble(process.id) : "");
    process.condemned = true;
    process.why = why;
    process.cause = model::EndCause::Readiness;
    stop_awaiting(process);
    if (process.wid <= config_.numprocesses && !process.outdated) {
        Slot& s = slot(process.wid);
        s.delay = model::next_delay(s.delay, Duration(-1), backoff(), stack_.random());
        s.not_before = stack_.clock.now() + s.delay;
    }
    ended_unready(process.wid, process.pid, process.outdated, why);
}

void Watcher::ended_unready(model::Wid wid, pid_t pid, bool outdated, const std::string& why) {
    const std::string what = cat("process ", pid, " (wid ", wid, ") ", why);
    log::error(cat("watcher ", name(), ": ", what));
    stack_.events.publish(
        name(), "not_ready",
        {{"process_pid", pid}, {"wid", wid}, {"time", stack_.clock.wall()}, {"reason", why}});
    if (wid <= static_cast<model::Wid>(slots_.size())) slot(wid).why = why;
    if (outdated) return;
    if (reloading_) return end_reload(false, what);
    // As a spawn that failed: the program was started, and is of no use. But nobody who serves ends for it.
    if (up_ && wid <= config_.numprocesses && begins_round(slot(wid)) && ++failures_ >= most_failures() &&
        ready_count() == 0)
        give_up(cat("stopped after ", failures_, " failed starts in a row; ", what));
    fail_waiters({Await::Up, Await::Count}, what);
}

}  // namespace circus::supervise
