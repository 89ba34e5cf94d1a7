// How a process is signalled and ended: its stop signal or the stop_command in its place, then SIGKILL.
#include <csignal>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/spawn_plan.hpp"
#include "supervise/watcher.hpp"
#include "sys/procfs.hpp"
#include "sys/signals.hpp"

namespace circus::supervise {

using keeper::Scope;
using model::ProcessAct;
using model::ProcessEvent;
using model::ProcessState;

void Watcher::kill(const KillRequest& request, Done done) {
    look();
    std::vector<ChildId> victims;
    for (auto& [id, process] : processes_) {
        if (process.stops != 0 || (request.pid && process.pid != *request.pid)) continue;
        victims.push_back(id);
        process.condemned = true;
        process.kill_signal = request.signo;
        process.kill_timeout = request.graceful_timeout;
        if (process.state != ProcessState::Stopping) continue;
        // Already on its way out: this one's signal and, where it ends sooner, its grace.
        const Duration grace = from_seconds(request.graceful_timeout.value_or(config_.graceful_timeout));
        process.grace_over = std::min(process.grace_over, stack_.clock.now() + grace);
        if (process.pid != 0) send_stop(process);
        for (auto& [other, command] : processes_)
            if (command.stops == id) command.grace_over = std::min(command.grace_over, process.grace_over);
    }
    wait_for(Await::Killed, std::move(done), std::move(victims));
}

void Watcher::signal(const SignalRequest& request) {
    for (auto& [id, process] : processes_) {
        if (!process.is_active() || (request.pid && process.pid != *request.pid)) continue;
        if (request.child_pid || request.children)
            stack_.keeper.signal(id, request.signo, Scope::Children, request.child_pid.value_or(0), false);
        else
            aim(process, {.signo = request.signo, .scope = request.recursive ? Scope::Tree : Scope::Process});
    }
}

void Watcher::act(Process& process, ProcessAct what) {
    switch (what) {
        case ProcessAct::None:
            return;
        case ProcessAct::SendStop:
            // A stop_command is Stopping before it runs; nothing is sent to it until its grace is over.
            if (process.stops == 0) send_stop(process);
            return;
        case ProcessAct::SendKill:
            send_kill(process);
            return;
    }
}

void Watcher::send_stop(Process& process) {
    const int signo = process.kill_signal.value_or(config_.stop_signal);
    if (config_.stop_command.empty() || process.kill_signal) return send_stop_signal(process, signo, true);
    for (const auto& [id, other] : processes_)
        if (other.stops == process.id) return;  // on its way
    publish_pid("kill", process.pid);
    if (const Status run = run_stop_command(process); !run) {
        log::error(cat("watcher ", name(), ": ", run.error().text, "; sending the stop signal to process ",
                       process.pid));
        send_stop_signal(process, signo, false);
    }
}

void Watcher::send_stop_signal(Process& process, int signo, bool announce) {
    aim(process, {.signo = signo, .stopping = true, .announce = announce});
}

void Watcher::aim(Process& process, const Shot& shot) {
    if (!is_hooked(model::HookPoint::BeforeSignal)) return fire(process, shot);
    if (shot.stopping) expect_end(process);
    hooks().ask({model::HookPoint::BeforeSignal, process.wid, process.pid, shot.signo},
                [this, id = process.id, shot](const HookResult& result) {
                    const auto at = processes_.find(id);
                    if (at == processes_.end()) return;
                    if (result.outcome == model::HookOutcome::Go || shot.signo == SIGKILL)
                        fire(at->second, shot);
                    else
                        log::info(cat("watcher ", name(), ": ", sys::signal_name(shot.signo),
                                      " is kept back from process ", at->second.pid, ": ", result.why));
                });
}

void Watcher::fire(Process& process, const Shot& shot) {
    if (shot.stopping && shot.signo != SIGKILL && config_.stop_children) {
        for (const pid_t child : sys::children_of(process.pid)) {
            publish_pid("kill", child);
            stack_.keeper.signal(process.id, shot.signo, Scope::Children, child, false);
        }
    }
    if (shot.announce) publish_pid("kill", process.pid);
    process.sent |= model::signal_bit(shot.signo);
    stack_.keeper.signal(process.id, shot.signo, shot.scope, 0, shot.stopping);
    if (process.frozen) stack_.keeper.signal(process.id, SIGCONT, Scope::Process, 0, false);
    tell({model::HookPoint::AfterSignal, process.wid, process.pid, shot.signo});
}

// No signal, but from now on the keeper knows that this is a stop: it clears away what the process leaves
// behind before it tells of its end.
void Watcher::expect_end(const Process& process) {
    stack_.keeper.signal(process.id, 0, Scope::Process, 0, true);
}

void Watcher::send_kill(Process& process) {
    if (process.stops != 0) {
        log::warning(cat("watcher ", name(), ": the stop_command of wid ", process.wid,
                         " did not end in time, sending SIGKILL to it"));
        stack_.keeper.signal(process.id, SIGKILL, Scope::Tree, 0, true);
    } else {
        log::warning(cat("watcher ", name(), ": process ", process.pid, " (wid ", process.wid,
                         ") did not end in time, sending SIGKILL to it and its descendants"));
        aim(process, {.signo = SIGKILL, .scope = Scope::Tree, .stopping = true, .announce = true});
    }
}

Status Watcher::run_stop_command(Process& process) {
    const ChildId id = stack_.next_id++;
    auto request = make_stop_request(config_, identity_, process.wid, process.pid, id, stack_);
    if (!request) return request.error();
    Process command;
    command.id = id;
    command.wid = process.wid;
    command.stops = process.id;
    command.grace_over = process.grace_over;
    command.apply(ProcessEvent::Stop);
    std::vector<UniqueFd> write_ends;
    if (auto opened = open_streams(config_, process.wid, stack_, *request, command.pipes, write_ends);
        !opened) {
        for (const PipeId pipe : command.pipes) stack_.streams.discard(pipe);
        return opened.error();
    }
    request->note.owner = serial_;
    request->note.stops = process.id;
    expect_end(process);
    process.perhaps_sent = true;
    owns_(*this, id);
    processes_.emplace(id, std::move(command));
    stack_.keeper.spawn(id, *request);
    return Ok{};
}

// `trouble` empty: it did what it was asked to. Else the process has had no word to end yet, or not the right
// one.
void Watcher::on_stop_command_ended(const Process& command, const std::string& trouble) {
    const auto of = processes_.find(command.stops);
    if (trouble.empty() || of == processes_.end() || of->second.state != ProcessState::Stopping) return;
    log::error(cat("watcher ", name(), ": the stop_command of process ", of->second.pid, " ", trouble,
                   "; sending the stop signal"));
    send_stop_signal(of->second, config_.stop_signal, false);
}

void Watcher::kill_all_now() {
    stop({});
    hurried_ = true;
    if (hooks_) hooks_->close();
    if (checks_) checks_->close();
    advance(model::PhaseEvent::Hurry);
    for (auto& [id, process] : processes_) {
        const ProcessAct stop_act = process.apply(ProcessEvent::Stop);
        if (config_.stop_command.empty()) act(process, stop_act);  // else there is no time for it
        // A SIGKILL that a hook was still asked about is sent now as well.
        const bool was_asked = process.state == ProcessState::Killing;
        act(process, was_asked ? ProcessAct::SendKill : process.apply(ProcessEvent::GraceOver));
    }
}

}  // namespace circus::supervise
