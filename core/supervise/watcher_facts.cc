// Facts: a process was spawned, exited, became known to be of no use. They only set data; watcher_settle.cc
// acts.
#include <algorithm>
#include <cassert>
#include <cerrno>
#include <sys/wait.h>

#include <climits>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/deaths.hpp"
#include "supervise/watcher.hpp"
#include "sys/signals.hpp"

namespace circus::supervise {

using model::ProcessEvent;
using model::ProcessState;

void Watcher::on_spawned(ChildId id, pid_t pid, UniqueFd pidfd) {
    if (hooks_ && hooks_->owns(id)) return hooks_->on_spawned(id, pid, std::move(pidfd));
    if (checks_ && checks_->owns(id)) return checks_->on_spawned(id, pid, std::move(pidfd));
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
    if (stack_.deaths) stack_.deaths->spawned(serial_);
    process.started = stack_.clock.now();
    process.started_wall = stack_.clock.wall();
    process.expires = expiry_of(process);
    for (const PipeId pipe : process.pipes) stack_.streams.start(pipe, pid);
    if (process.ready.kind == config::ReadyConfig::Kind::Spawned) forget_failures();  // else when it is ready
    if (process.wid <= config_.numprocesses && up_ && !drain_) slot(process.wid).spawned = true;
    stack_.events.publish(name(), "spawn",
                          {{"process_pid", pid}, {"wid", process.wid}, {"time", process.started_wall}});
    if (is_hooked(model::HookPoint::AfterSpawn)) ask_after_spawn(process);
    if (process.ready.kind != config::ReadyConfig::Kind::Spawned) await_ready(process);
    if (!process.unproven && !process.awaited) prove(process.wid);
    if (reloading_ || process.outdated || process.condemned || process.expires || process.awaited ||
        config_.memory_soft.bytes != 0 || process.state != ProcessState::Idle)
        look();
    act(process, process.apply(ProcessEvent::Spawned));
}

void Watcher::on_spawn_failed(ChildId id, keeper::SpawnStage stage, int error, int detail) {
    look();
    const bool is_hook = hooks_ && hooks_->owns(id);
    const bool is_check = checks_ && checks_->owns(id);
    const auto at = processes_.find(id);
    assert(is_hook || is_check || at != processes_.end());
    std::string what =
        is_hook || is_check
            ? "cannot be run"
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
    if (is_check) return checks_->on_spawn_failed(id, why);
    for (const PipeId pipe : at->second.pipes) stack_.streams.discard(pipe);
    const Process process = std::move(at->second);
    processes_.erase(at);
    if (process.stops != 0)
        on_stop_command_ended(process, why);
    else
        spawn_failed(process.wid, {why, error},
                     process.state == ProcessState::Idle && !process.condemned && !process.outdated, stage);
}

// Drawn from what the process is, so that an arbiter that takes it over draws the same.
std::optional<TimePoint> Watcher::expiry_of(const Process& process) const {
    if (config_.max_age <= 0) return std::nullopt;
    std::uint64_t drawn = 14695981039346656037ULL;  // FNV-1a, then the end of splitmix64
    for (const char c : stack_.instance) drawn = (drawn ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    drawn += process.id * 0x9e3779b97f4a7c15ULL;
    drawn = (drawn ^ (drawn >> 30)) * 0xbf58476d1ce4e5b9ULL;
    drawn = (drawn ^ (drawn >> 27)) * 0x94d049bb133111ebULL;
    const double part = static_cast<double>((drawn ^ (drawn >> 31)) >> 11) * 0x1p-53;
    return process.started + from_seconds(config_.max_age + config_.max_age_variance * part);
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

// Of a program that cannot be started many slots say so at once: together that is one failure, and the next
// one begins with a slot that has failed in this one already.
bool Watcher::begins_round(Slot& s) {
    const bool begins = s.failed_in >= round_;
    if (begins) ++round_;
    s.failed_in = round_;
    return begins;
}

void Watcher::forget_failures() {
    if (round_ != 0)
        for (Slot& s : slots_) s.failed_in = 0;
    failures_ = round_ = 0;
}

int Watcher::most_failures() const {
    return config_.max_retry < 0 ? INT_MAX : std::max(1, config_.max_retry);
}

void Watcher::spawn_failed(model::Wid wid, const Error& why, bool counts,
                           std::optional<keeper::SpawnStage> stage) {
    if (stack_.deaths)
        stack_.deaths->not_started({serial_, name(), wid, stack_.clock.wall(), stage, why.code, why.text});
    const bool has_slot = up_ && wid <= config_.numprocesses;
    const bool begins = has_slot && counts && begins_round(slot(wid));
    const bool is_failure = begins && !is_shortage(why.code);
    if (is_failure) ++failures_;
    // Once a round, and while it is tried on beside those that serve not even that.
    const bool is_known = why.text == last_failure_ && (!begins || failures_ > most_failures());
    last_failure_ = why.text;
    const std::string line = cat("watcher ", name(), ": ", why.text);
    is_known ? log::debug(line) : log::error(line);
    if (!has_slot) return;
    Slot& s = slot(wid);
    s.delay = model::next_delay(s.delay, Duration(-1), backoff(), stack_.random());
    s.not_before = stack_.clock.now() + s.delay;
    if (!is_failure || failures_ < most_failures()) return;
    if (reloading_) return end_reload(false, why.text);
    const std::string failed = cat(failures_, " failed spawns in a row");
    const std::size_t ready = ready_count();
    if (ready == 0) return give_up(cat("stopped after ", failed));
    if (failures_ == most_failures())
        log::error(cat("watcher ", name(), ": ", failed, "; it is tried again every ",
                       to_seconds(backoff().cap), " s, beside the ", ready, " that ",
                       ready == 1 ? "is" : "are", " ready"));
    fail_waiters({Await::Up, Await::Count}, cat(failed, ": ", why.text));
}

void Watcher::give_up(const std::string& why) {
    log::error(cat("watcher ", name(), ": ", why));
    look();
    up_ = false;
    gave_up_ = why;
    armed_ = false;  // the connection is still there: it would only fail again
    drain_ = false;
    reloading_ = false;
    canary_ = {};
    ended_for_good(last_code_ != 0 ? last_code_ : 1);
}

namespace {

// Circus's: the exit status, or minus the number of the signal.
int code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string how_it_ended(int code) {
    return code >= 0 ? cat("exited with ", code) : cat("was ended by ", sys::signal_name(-code));
}

}  // namespace

// `asked`: it was on its way out already.
Replaced Watcher::replaced_because(const Process& process, bool asked) const {
    if (!up_ || process.wid > config_.numprocesses) return Replaced::No;
    if (process.cause == model::EndCause::Memory) return Replaced::Memory;
    if (process.cause == model::EndCause::Readiness) return Replaced::NotReady;
    if (!asked) return config_.respawn ? Replaced::Died : Replaced::No;
    if (drain_) return Replaced::Restart;
    if (process.condemned) return Replaced::Kill;
    const bool is_old = process.cause == model::EndCause::Age;
    return is_old && !reloading_ ? Replaced::MaxAge : Replaced::Reload;
}

void Watcher::finish_pipes(const Process& process) {
    for (const PipeId pipe : process.pipes) {
        ++draining_;
        stack_.streams.finish(pipe, [this, id = process.id](const std::optional<std::string>& last) {
            --draining_;
            if (stack_.deaths) stack_.deaths->drained(id, last);
            if (armed_) look();
            mark_(*this);
        });
    }
}

Tally Watcher::tally() const {
    return stack_.deaths ? stack_.deaths->tally(serial_) : Tally();
}

void Watcher::tell_death(const Process& process, bool expected, int status, const rusage& usage) {
    if (!stack_.deaths) return;
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    Deaths::Dead dead;
    dead.watcher = serial_;
    dead.name = name();
    dead.death.child = process.id;
    dead.death.time = stack_.clock.wall();
    dead.death.age = to_seconds(stack_.clock.now() - process.started);
    dead.death.max_rss = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
    dead.death.user_time = seconds(usage.ru_utime);
    dead.death.system_time = seconds(usage.ru_stime);
    dead.death.pid = process.pid;
    dead.death.wid = process.wid;
    dead.death.code = code_of(status);
    dead.death.dumped_core = WIFSIGNALED(status) && WCOREDUMP(status);
    dead.death.asked = expected;
    dead.reaped = {dead.death.code, expected, process.cause, process.sent, process.perhaps_sent};
    dead.why = process.why;
    dead.pipes = process.pipes.size();
    dead.replaced = replaced_because(process, expected);
    stack_.deaths->died(std::move(dead));
}

void Watcher::on_exited(ChildId id, int status, const rusage& usage) {
    if (hooks_ && hooks_->owns(id)) return hooks_->on_exited(id, status);
    if (checks_ && checks_->owns(id)) return checks_->on_exited(id, status);
    look();
    const auto at = processes_.find(id);
    assert(at != processes_.end());
    Process& process = at->second;
    const bool expected = process.state != ProcessState::Running;
    process.apply(ProcessEvent::Exited);
    const int code = code_of(status);
    finish_pipes(process);
    if (process.stops != 0) {
        const Process command = std::move(process);
        processes_.erase(at);
        on_stop_command_ended(command, code == 0 ? "" : how_it_ended(code));
        return;
    }
    --active_count_;
    tell_death(process, expected, status, usage);
    Json event = {{"process_pid", process.pid},
                  {"wid", process.wid},
                  {"time", stack_.clock.wall()},
                  {"exit_code", code}};
    if (!process.why.empty()) event["reason"] = process.why;
    stack_.events.publish(name(), "reap", std::move(event));
    tell_reaped(process, code);
    if (code != 0 && !process.outdated) last_code_ = code;
    const std::string line = cat("watcher ", name(), ": process ", process.pid, " (wid ", process.wid, ") ",
                                 how_it_ended(code), expected ? "" : " unasked", ", max RSS ",
                                 human_bytes(static_cast<double>(usage.ru_maxrss) * 1024.0),
                                 process.why.empty() ? "" : cat("; it ", process.why));
    if (expected && process.why.empty())
        log::debug(line);
    else
        log::info(line);

    stop_awaiting(process);
    const bool unready = process.awaited && !expected;
    if (up_ && !drain_ && !process.outdated && process.wid <= config_.numprocesses) {
        Slot& s = slot(process.wid);
        if (!config_.respawn) s.spent = true;
        s.renewed = s.renewed || (!process.unproven && !process.awaited);
        if (!expected) {
            const TimePoint now = stack_.clock.now();
            // However long it tried, it was of no use.
            const Duration lived = unready ? Duration(-1) : now - process.started;
            s.delay = model::next_delay(s.delay, lived, backoff(), stack_.random());
            s.not_before = now + s.delay;
            if (armed_ && s.spent) {
                await_delay_ = model::next_delay(await_delay_, lived, backoff(), stack_.random());
                await_not_before_ = now + await_delay_;
            }
        }
    }
    const Process gone = std::move(process);
    processes_.erase(at);
    // A new program that ends where it should go on is of no use, in a reload that looks at what it does.
    const bool failed = reloading_ && !expected && !gone.outdated &&
                        (canary_.count > 0 || gone.ready.kind != config::ReadyConfig::Kind::Spawned);
    if (!unready && failed)
        end_reload(false, cat("process ", gone.pid, " (wid ", gone.wid, ") ", how_it_ended(code)));
    if (unready)
        ended_unready(gone.wid, gone.pid, gone.outdated, cat(how_it_ended(code), " before it was ready"));
}

}  // namespace circus::supervise
