// Process: one child of the keeper, from the moment its spawn is asked for to the moment it is reaped.
//
// States are model::ProcessState; apply() is the one door through which they change, and it answers what is
// to be sent. Owned by its Watcher; the loop's thread only. `pid` is for showing and for the keeper to
// compare: nothing here is ever signalled by number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"
#include "model/death.hpp"
#include "model/process_state.hpp"
#include "model/reconcile.hpp"
#include "supervise/ports.hpp"

namespace circus::supervise {

struct Process {
    ChildId id = 0;
    model::Wid wid = 0;
    pid_t pid = 0;  // 0 until Spawned
    UniqueFd pidfd;
    model::ProcessState state = model::ProcessState::Idle;
    bool outdated = false;   // a newer one is to take its place: reload, max_age
    bool condemned = false;  // to be stopped whatever comes after: kill
    bool unproven = false;   // its after_spawn has not answered
    // Spawned, and not ready yet; how it becomes ready, and when it must be.
    bool awaited = false;
    config::ReadyConfig ready{};
    std::optional<TimePoint> ready_by{};
    TimePoint started{};
    double started_wall = 0;  // seconds since the epoch: Circus's `started`
    TimePoint grace_over{};
    std::optional<TimePoint> expires{};
    std::optional<int> kill_signal{};      // of the `kill` that condemned it
    std::optional<double> kill_timeout{};  // seconds
    // One that is too many and is drained, or that has sockets which its watcher uses no more: when its
    // patience ends, and when it is looked at next. What it has in hand may be its own affair: then only the
    // connections that wait on a listener of its own matter. `looks`: how often it had work in hand.
    struct Lingers {
        TimePoint until{}, look_at{};
        bool until_idle = true;
        int looks = 0;
    };
    std::optional<Lingers> lingers{};
    bool leaves_sockets = false;  // its watcher uses sockets no more of which it has listeners of its own
    std::optional<TimePoint>
        frozen{};       // since its SIGSTOP: so that it accepts nothing before its stop signal
    std::string why{};  // it is ended for: "used 612.00M, more than memory_max"
    model::EndCause cause = model::EndCause::Operation;  // … on whose account
    std::uint64_t sent = 0;     // the signals that circusd sent to it (model::signal_bit)
    bool perhaps_sent = false;  // others may have been, by the arbiter before or by a stop_command
    std::vector<PipeId> pipes;
    // Not 0: this is no worker but the stop_command of that process. It has no wid and is Stopping from its
    // birth, with the grace of what it stops.
    ChildId stops = 0;

    // The door. Returns what is to be sent; the caller sends it.
    model::ProcessAct apply(model::ProcessEvent event) {
        const model::ProcessStep step = model::step(state, event);
        state = step.next;
        return step.act;
    }
    // A worker with a pid that was not reaped: what `list` and `stats` count.
    bool is_active() const { return stops == 0 && pid != 0 && state != model::ProcessState::Gone; }
    // It takes its place: what it replaces may go.
    bool counts() const { return is_running() && !unproven && !awaited; }
    bool is_running() const { return state == model::ProcessState::Running; }
};

}  // namespace circus::supervise
