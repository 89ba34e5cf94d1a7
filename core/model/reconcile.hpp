// reconcile(): what a watcher has against what it should have, and so what to do now and when to look again.
//
// A watcher has slots, numbered by wid from 1 to numprocesses. A slot holds at most one *current* process,
// and for the length of a replacement an *outdated* one beside it (of an older generation, or past its
// max_age): a replacement takes over the wid, so that at rest the wids are exactly 1..numprocesses.
//
// Pure: time is an argument, nothing is remembered between two calls.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "model/process_state.hpp"

namespace circus::model {

using Wid = int;  // from 1

struct ProcessView {
    Wid wid = 0;  // 0: a stop_command, which fills no slot
    ProcessState state = ProcessState::Idle;
    bool outdated = false;   // to be replaced: a reload, or max_age
    bool condemned = false;  // to be stopped whatever comes after: kill, restart
    TimePoint started{};
    TimePoint grace_over{};              // of a Stopping one
    std::optional<TimePoint> expires{};  // max_age, drawn once per process
    bool unproven = false;  // not ready, or its after_spawn is asked: it takes nobody's place yet
    // One that is too many, or that is to be replaced, is not stopped before this, and looked at then.
    std::optional<TimePoint> lingers{};
    TimePoint lingers_look{};
    bool leaves_sockets = false;          // it does so even where the whole watcher goes down
    std::optional<TimePoint> ready_by{};  // when it must have become ready; nothing: it is, or never will be
};

struct SlotView {
    Wid wid = 0;
    TimePoint not_before{};  // back-off
    bool spent = false;      // ran once, and respawn is off
    bool asked = false;      // its before_spawn is asked
};

enum class Replacement {
    NewFirst,  // all replacements run before the first outdated process is stopped
    OneByOne,  // stop one, start its replacement, then the next
    Rolling,   // a few at a time, as `rollout` says: stop an old one when its replacement counts
};

struct Rollout {
    int surge = 1;        // how many processes more than numprocesses there may be at a time
    int unavailable = 0;  // how many slots may be without a process that counts
};

// The first replacements of a reload, which are watched for a while before anything else of it is done.
struct Canary {
    int count = 0;  // 0: none, or it is over
    Duration watch{};
    std::optional<TimePoint> since{};  // when all of them counted
};

struct WatcherView {
    bool up = false;          // wanted
    bool drain = false;       // spawn nothing until every process is gone (restart, start while stopping)
    bool armed = false;       // on_demand: while it is down, a connection to one of its sockets brings it up
    bool finishing = false;   // output of processes that are gone is still read, or a stop is not through
    bool hold_spawn = false;  // a hook has not said yet that anything may be started
    bool hold_stop = false;   // before_stop is asked: what would be stopped because of a stop goes on running
    TimePoint await_not_before{};  // on_demand's back-off
    int numprocesses = 0;
    Replacement replacement = Replacement::NewFirst;
    Rollout rollout{};
    Canary canary{};
    bool reloading = false;  // outdated processes wait until all slots are current; else slot by slot
    Duration warmup{};       // between two spawns
    std::optional<TimePoint> last_spawn{};
    std::vector<SlotView> slots;         // a wid without a row has no back-off and is not spent
    std::vector<ProcessView> processes;  // no Gone ones
};

struct Plan {
    std::vector<Wid> spawn;                 // in this order
    std::vector<std::size_t> stop;          // indices into processes: Event::Stop
    std::vector<std::size_t> kill;          // Event::GraceOver
    std::vector<std::size_t> expired;       // became outdated by age
    std::vector<std::size_t> late;          // of `stop`: not ready in time
    bool canary_begins = false;             // all of them count: they are watched from now on
    bool canary_passed = false;             // they were watched long enough
    bool await = false;                     // its sockets are to be watched now
    std::optional<TimePoint> look_again{};  // nothing changes before this by time alone
};

Plan reconcile(const WatcherView& view, TimePoint now);

}  // namespace circus::model
