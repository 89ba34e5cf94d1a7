// Queries, wishes and facts: what only sets data. watcher_settle.cc acts on it.
#include "supervise/watcher.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <sys/wait.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "sys/signals.hpp"

namespace circus::supervise {

using model::ProcessEvent;
using model::ProcessState;
using model::WatcherStatus;

Watcher::Watcher(config::WatcherConfig config, Identity identity, Stack& stack, Finish finish, Owns owns,
                 Mark mark)
    : config_(std::move(config)),
      identity_(std::move(identity)),
      stack_(stack),
      finish_(std::move(finish)),
      owns_(std::move(owns)),
      mark_(std::move(mark)) {}

// ---- queries ----

WatcherStatus Watcher::status() const {
    if (!up_) return is_gone() ? WatcherStatus::Stopped : WatcherStatus::Stopping;
    if ((drain_ && !processes_.empty()) || is_ending(phase_)) return WatcherStatus::Stopping;
    return phase_ == model::Phase::Started ? WatcherStatus::Active : WatcherStatus::Starting;
}

std::vector<const Process*> Watcher::active() const {
    std::vector<const Process*> out;
    for (const auto& [id, process] : processes_)
        if (process.is_active()) out.push_back(&process);
    return out;
}

const Process* Watcher::find_child(ChildId id) const {
    const auto at = processes_.find(id);
    return at != processes_.end() && at->second.is_active() ? &at->second : nullptr;
}

const Process* Watcher::find_pid(pid_t pid) const {
    for (const auto& [id, process] : processes_)
        if (process.is_active() && process.pid == pid) return &process;
    return nullptr;
}

bool Watcher::all_ran() const {
    return static_cast<int>(slots_.size()) >= config_.numprocesses &&
           std::all_of(slots_.begin(), slots_.begin() + config_.numprocesses,
                       [](const Slot& s) { return s.ran; });
}

bool Watcher::has_outdated() const {
    return std::any_of(processes_.begin(), processes_.end(),
                       [](const auto& row) { return row.second.outdated; });
}

Watcher::Slot& Watcher::slot(model::Wid wid) {
    const auto at = static_cast<std::size_t>(wid);
    if (slots_.size() < at) slots_.resize(at);
    return slots_[at - 1];
}

// ---- wishes ----

void Watcher::wait_for(Await what, Done done, std::vector<ChildId> victims) {
    if (!done) return;
    Waiter waiter{what, {}, std::move(victims), std::move(done)};
    for (const Process* process : active()) waiter.before.push_back(process->pid);
    std::sort(waiter.before.begin(), waiter.before.end());
    waiters_.push_back(std::move(waiter));
}

void Watcher::supersede(const char* by) {
    std::vector<Waiter> kept;
    for (Waiter& waiter : waiters_) {
        if (waiter.what == Await::Down || waiter.what == Await::Killed)
            kept.push_back(std::move(waiter));
        else
            finish_(std::move(waiter.done), Error{cat("arbiter is already running ", by, " command"), 5});
    }
    waiters_ = std::move(kept);
}

void Watcher::reset_slots() {
    slots_.assign(static_cast<std::size_t>(std::max(0, config_.numprocesses)), Slot{});
    failures_ = 0;
}

// Fewer and then more within one turn: what was not stopped in between runs in its slot as before.
void Watcher::resize_slots() {
    slots_.resize(static_cast<std::size_t>(config_.numprocesses));
    if (!up_ || drain_) return;
    for (const auto& [id, process] : processes_)
        if (process.is_running() && !process.unproven && process.wid <= config_.numprocesses &&
            process.stops == 0)
            slot(process.wid).ran = true;
}

void Watcher::go_up() {
    if (up_) return;
    up_ = true;
    // What is still on its way out must be gone before anything new is started.
    drain_ = !processes_.empty() || has_begun(phase_);
    start_delay_ = {};
    reset_slots();
}

void Watcher::want_up() {
    if (up_ || !config_.on_demand) {
        go_up();
        return;
    }
    armed_ = true;
    await_delay_ = {};
    await_not_before_ = {};
}

void Watcher::start(Done done) {
    stack_.events.asked(name(), "start");
    look();
    wait_for(Await::Up, std::move(done));
    want_up();
}

void Watcher::disarm() {
    look();
    armed_ = awaiting_ = false;
}

void Watcher::stop(Done done) {
    stack_.events.asked(name(), "stop");
    look();
    supersede("watcher_stop");
    wait_for(Await::Down, std::move(done));
    up_ = false;
    drain_ = false;
    reloading_ = false;
    abandoned_ = false;
    replacement_ = model::Replacement::NewFirst;
}

void Watcher::abandon() {
    look();
    supersede("arbiter_rm_watcher");
    abandoned_ = true;
    up_ = false;
    armed_ = awaiting_ = false;
    phase_ = model::Phase::Closed;
    hurried_ = true;
    if (hooks_) hooks_->close();
}

void Watcher::restart(Done done) {
    stack_.events.asked(name(), "restart");
    look();
    wait_for(Await::Up, std::move(done));
    if (!up_) {
        want_up();
        return;
    }
    reloading_ = false;
    replacement_ = model::Replacement::NewFirst;
    start_delay_ = {};
    drain_ = true;
    reset_slots();
}

void Watcher::reload(ReloadKind kind, Done done) {
    look();
    if (!up_ || drain_ || kind == ReloadKind::Terminate) {
        restart(std::move(done));
        return;
    }
    stack_.events.asked(name(), "reload");
    if (kind == ReloadKind::AsConfigured && config_.send_hup) {
        for (auto& [id, process] : processes_)
            if (process.is_running()) aim(process, {.signo = SIGHUP});
        publish("reload");
        if (done) {
            OpResult result;
            for (const Process* process : active()) result.kept.push_back(process->pid);
            std::sort(result.kept.begin(), result.kept.end());
            finish_(std::move(done), std::move(result));
        }
        return;
    }
    wait_for(Await::Reloaded, std::move(done));
    reloading_ = true;
    failures_ = 0;
    replacement_ =
        kind == ReloadKind::Sequential ? model::Replacement::OneByOne : model::Replacement::NewFirst;
    for (auto& [id, process] : processes_)
        if (!process.condemned) process.outdated = true;
    for (Slot& s : slots_) s.renewed = false;
    for (Slot& s : slots_) s.spent = false;
}

void Watcher::set_numprocesses(int count, Duration drain, Done done) {
    look();
    const int before = std::exchange(config_.numprocesses, std::max(0, count));
    wait_for(Await::Count, std::move(done));
    resize_slots();
    let_linger(drain, before);
}

void Watcher::reconfigure(config::WatcherConfig config, Identity identity, bool reload_now, Done done) {
    look();
    const int count = config.numprocesses;
    if (config.on_demand != config_.on_demand) armed_ = config.on_demand && up_;
    config_ = std::move(config);
    identity_ = std::move(identity);
    config_.numprocesses = std::max(0, count);
    resize_slots();
    if (reload_now && up_)
        reload(ReloadKind::Graceful, std::move(done));
    else
        wait_for(Await::Count, std::move(done));
}

// ---- facts ----

void Watcher::on_spawned(ChildId id, pid_t pid, UniqueFd pidfd) {
    if (hooks_ && hooks_->owns(id)) return hooks_->on_spawned(id, pid, std::move(pidfd));
    const auto at = processes_.find(id);
    assert(at != processes_.end());
    Process& process = at->second;
    process.pid = pid;
    process.pidfd = std::move(pidfd);
    if (process.stops != 0) {
        for (const PipeId pipe : process.pipes) stack_.streams.start(pipe, pid);
        act(process, process.apply(ProcessEvent::Spawned));
        return;
    }
    ++active_count_;
    process.started = stack_.clock.now();
    process.started_wall = stack_.clock.wall();
    if (config_.max_age > 0)
        process.expires =
            process.started + from_seconds(config_.max_age + config_.max_age_variance * stack_.random());
    for (const PipeId pipe : process.pipes) stack_.streams.start(pipe, pid);
    failures_ = 0;
    stack_.events.publish(name(), "spawn",
                          {{"process_pid", pid}, {"wid", process.wid}, {"time", process.started_wall}});
    if (is_hooked(model::HookPoint::AfterSpawn))
        ask_after_spawn(process);
    else
        prove(process.wid);
    if (reloading_ || process.outdated || process.condemned || process.expires ||
        process.state != ProcessState::Idle)
        look();
    act(process, process.apply(ProcessEvent::Spawned));
}

void Watcher::on_spawn_failed(ChildId id, keeper::SpawnStage stage, int error, int detail) {
    look();
    const bool is_hook = hooks_ && hooks_->owns(id);
    const auto at = processes_.find(id);
    assert(is_hook || at != processes_.end());
    std::string what =
        is_hook ? "cannot be run"
                : cat("cannot spawn ", py_repr(at->second.stops == 0 ? config_.cmd : config_.stop_command));
    what += cat(": ", keeper::to_string(stage));
    if (stage == keeper::SpawnStage::Rlimit) {
        for (const auto& [limit, setting] : config_.rlimits)
            if (setting.resource == detail)
                what += cat(" ", limit, "=", setting.soft ? std::to_string(*setting.soft) : "unlimited");
    }
    if (stage == keeper::SpawnStage::WorkingDir) what += cat(" ", py_repr(config_.working_dir));
    const std::string why = sys_error(std::move(what), error).text;
    if (is_hook) return hooks_->on_spawn_failed(id, why);
    for (const PipeId pipe : at->second.pipes) stack_.streams.discard(pipe);
    const Process process = std::move(at->second);
    processes_.erase(at);
    if (process.stops == 0)
        spawn_failed(process.wid, {why, error});
    else
        on_stop_command_ended(process, why);
}

void Watcher::on_connection() {
    if (!awaiting_) return;
    look();
    awaiting_ = false;
    log::info(cat("watcher ", name(), ": a connection came in"));
    go_up();
}

model::BackoffPolicy Watcher::backoff() const {
    return {from_seconds(config_.min_uptime),
            from_seconds(config_.max_backoff.value_or(stack_.circus.check_delay))};
}

namespace {
// What the machine has none of for the time being; the program that was to be started can do nothing about
// it.
bool is_shortage(int error) {
    return error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}
}  // namespace

void Watcher::spawn_failed(model::Wid wid, const Error& why) {
    if (!is_shortage(why.code)) ++failures_;
    log::error(cat("watcher ", name(), ": ", why.text));
    const bool last =
        !is_shortage(why.code) && config_.max_retry >= 0 && failures_ >= std::max(1, config_.max_retry);
    if (last && reloading_) {
        end_reload(false, why.text);
        return;
    }
    if (last) {
        give_up(cat("stopped after ", failures_, " failed spawns in a row"));
        return;
    }
    Slot& s = slot(wid);
    s.delay = model::next_delay(s.delay, Duration(-1), backoff(), stack_.random());
    s.not_before = stack_.clock.now() + s.delay;
}

void Watcher::give_up(const std::string& why) {
    log::error(cat("watcher ", name(), ": ", why));
    look();
    up_ = false;
    armed_ = false;  // the connection is still there: it would only fail again
    drain_ = false;
    reloading_ = false;
}

namespace {
std::string how_it_ended(int code) {
    return code >= 0 ? cat("exited with ", code) : cat("was ended by ", sys::signal_name(-code));
}
}  // namespace

void Watcher::finish_pipes(const Process& process) {
    for (const PipeId pipe : process.pipes) {
        ++draining_;
        stack_.streams.finish(pipe, [this] {
            --draining_;
            if (armed_) look();
            mark_(*this);
        });
    }
}

void Watcher::on_exited(ChildId id, int status, const rusage& usage) {
    if (hooks_ && hooks_->owns(id)) return hooks_->on_exited(id, status);
    look();
    const auto at = processes_.find(id);
    assert(at != processes_.end());
    Process& process = at->second;
    const bool expected = process.state != ProcessState::Running;
    process.apply(ProcessEvent::Exited);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    finish_pipes(process);
    if (process.stops != 0) {
        const Process command = std::move(process);
        processes_.erase(at);
        on_stop_command_ended(command, code == 0 ? "" : how_it_ended(code));
        return;
    }
    --active_count_;
    stack_.events.publish(name(), "reap",
                          {{"process_pid", process.pid},
                           {"wid", process.wid},
                           {"time", stack_.clock.wall()},
                           {"exit_code", code}});
    tell_reaped(process, code);
    const std::string line = cat("watcher ", name(), ": process ", process.pid, " (wid ", process.wid, ") ",
                                 how_it_ended(code), expected ? "" : " unasked", ", max RSS ",
                                 human_bytes(static_cast<double>(usage.ru_maxrss) * 1024.0));
    if (expected)
        log::debug(line);
    else
        log::info(line);

    if (up_ && !drain_ && !process.outdated && process.wid <= config_.numprocesses) {
        Slot& s = slot(process.wid);
        if (!config_.respawn) s.spent = true;
        s.renewed = s.renewed || !process.unproven;
        if (!expected) {
            const TimePoint now = stack_.clock.now();
            const Duration lived = now - process.started;
            s.delay = model::next_delay(s.delay, lived, backoff(), stack_.random());
            s.not_before = now + s.delay;
            if (armed_ && s.spent) {
                await_delay_ = model::next_delay(await_delay_, lived, backoff(), stack_.random());
                await_not_before_ = now + await_delay_;
            }
        }
    }
    processes_.erase(at);
}

}  // namespace circus::supervise
