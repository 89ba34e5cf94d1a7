// The phases of a watcher between its start and its stop, as far as hooks come in between, as one total
// table: phases × events → next phase and act.
//
//   Closed       down; nothing runs and nothing is owed
//   BeforeStart  before_start is asked; nothing may be spawned
//   Paused       before_start asked to be asked again, later
//   Open         spawning; some slot has not run yet
//   AfterStart   every slot ran, after_start is asked
//   Started      the start was announced
//   BeforeStop   before_stop is asked; what runs goes on running, nothing is spawned
//   Ending       its processes are being stopped
//   AfterStop    none is left, the stop was announced, after_stop is asked
//
// A point without a hook answers Go at once: then these are passed through within one look. A stop overtakes
// whatever is asked about a start; a start during a stop waits for the stop's end. Driven by
// supervise::Watcher. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "model/hook.hpp"

namespace circus::model {

enum class Phase : unsigned char {
    Closed,
    BeforeStart,
    Paused,
    Open,
    AfterStart,
    Started,
    BeforeStop,
    Ending,
    AfterStop,
};

enum class PhaseEvent : unsigned char {
    Up,     // wanted up, and nothing is to be ended first
    Go,     // answers of the hook that this phase asked
    Abort,  //
    Again,  //
    Due,    // the pause is over
    Ran,    // every slot ran
    Down,   // wanted down, or to be ended before it starts anew
    Gone,   // no process is left
    Hurry,  // SIGKILL to everything: nobody is asked any more
};

enum class PhaseAct : unsigned char {
    None,
    AskBeforeStart,
    Pause,
    AskAfterStart,
    AnnounceStart,
    GiveUp,         // the watcher is not wanted up any more
    DropAsked,      // whatever was asked about the start is of no interest any more
    AskBeforeStop,  // the same, and before_stop
    AnnounceStop,   // and ask after_stop
};

constexpr std::size_t kPhases = 9;
constexpr std::size_t kPhaseEvents = 9;

struct PhaseStep {
    Phase next;
    PhaseAct act;
};

namespace detail {
constexpr auto make_phase_table() {
    std::array<std::array<PhaseStep, kPhaseEvents>, kPhases> table{};
    // An event that cannot come in a phase, or has nothing left to change there, changes nothing.
    for (std::size_t p = 0; p < kPhases; ++p)
        for (auto& cell : table[p]) cell = {static_cast<Phase>(p), PhaseAct::None};
    const auto set = [&table](Phase phase, PhaseEvent event, Phase next, PhaseAct act) {
        table[static_cast<std::size_t>(phase)][static_cast<std::size_t>(event)] = {next, act};
    };
    set(Phase::Closed, PhaseEvent::Up, Phase::BeforeStart, PhaseAct::AskBeforeStart);

    set(Phase::BeforeStart, PhaseEvent::Go, Phase::Open, PhaseAct::None);
    set(Phase::BeforeStart, PhaseEvent::Abort, Phase::Closed, PhaseAct::GiveUp);
    set(Phase::BeforeStart, PhaseEvent::Again, Phase::Paused, PhaseAct::Pause);
    set(Phase::BeforeStart, PhaseEvent::Down, Phase::Closed, PhaseAct::DropAsked);
    set(Phase::BeforeStart, PhaseEvent::Hurry, Phase::Closed, PhaseAct::DropAsked);

    set(Phase::Paused, PhaseEvent::Due, Phase::BeforeStart, PhaseAct::AskBeforeStart);
    set(Phase::Paused, PhaseEvent::Down, Phase::Closed, PhaseAct::None);
    set(Phase::Paused, PhaseEvent::Hurry, Phase::Closed, PhaseAct::None);

    set(Phase::Open, PhaseEvent::Ran, Phase::AfterStart, PhaseAct::AskAfterStart);
    set(Phase::Open, PhaseEvent::Down, Phase::BeforeStop, PhaseAct::AskBeforeStop);
    set(Phase::Open, PhaseEvent::Hurry, Phase::Ending, PhaseAct::DropAsked);

    set(Phase::AfterStart, PhaseEvent::Go, Phase::Started, PhaseAct::AnnounceStart);
    set(Phase::AfterStart, PhaseEvent::Abort, Phase::Open, PhaseAct::GiveUp);
    set(Phase::AfterStart, PhaseEvent::Again, Phase::Open, PhaseAct::GiveUp);
    set(Phase::AfterStart, PhaseEvent::Down, Phase::BeforeStop, PhaseAct::AskBeforeStop);
    set(Phase::AfterStart, PhaseEvent::Hurry, Phase::Ending, PhaseAct::DropAsked);

    set(Phase::Started, PhaseEvent::Down, Phase::BeforeStop, PhaseAct::AskBeforeStop);
    set(Phase::Started, PhaseEvent::Hurry, Phase::Ending, PhaseAct::DropAsked);

    // No answer to before_stop or after_stop keeps anything.
    for (const PhaseEvent answer : {PhaseEvent::Go, PhaseEvent::Abort, PhaseEvent::Again}) {
        set(Phase::BeforeStop, answer, Phase::Ending, PhaseAct::None);
        set(Phase::AfterStop, answer, Phase::Closed, PhaseAct::None);
    }
    set(Phase::BeforeStop, PhaseEvent::Hurry, Phase::Ending, PhaseAct::DropAsked);
    set(Phase::AfterStop, PhaseEvent::Hurry, Phase::Closed, PhaseAct::DropAsked);
    set(Phase::Ending, PhaseEvent::Gone, Phase::AfterStop, PhaseAct::AnnounceStop);
    return table;
}
inline constexpr auto kPhaseTable = make_phase_table();
}  // namespace detail

constexpr PhaseStep step(Phase phase, PhaseEvent event) {
    return detail::kPhaseTable[static_cast<std::size_t>(phase)][static_cast<std::size_t>(event)];
}

constexpr PhaseEvent event_of(HookOutcome outcome) {
    switch (outcome) {
        case HookOutcome::Go:
            return PhaseEvent::Go;
        case HookOutcome::Abort:
            return PhaseEvent::Abort;
        case HookOutcome::Again:
            return PhaseEvent::Again;
    }
    return PhaseEvent::Abort;
}

// Whether a start got past its before_start, so that a stop is owed.
constexpr bool has_begun(Phase phase) {
    return phase != Phase::Closed && phase != Phase::BeforeStart && phase != Phase::Paused;
}
constexpr bool may_spawn(Phase phase) {
    return phase == Phase::Open || phase == Phase::AfterStart || phase == Phase::Started;
}
constexpr bool is_ending(Phase phase) {
    return phase == Phase::BeforeStop || phase == Phase::Ending || phase == Phase::AfterStop;
}

// What is known about the watcher.
struct PhaseFacts {
    bool up = false;     // wanted
    bool drain = false;  // to be ended before it starts anew
    bool ran = false;    // every slot ran
    bool pause_over = false;
    bool processes = false;  // there is one
    bool held = false;       // what it depends on is not there yet
    bool finishing = false;  // output of processes that are gone is still read
};

// What the facts bring about; answers of hooks and a hurry come by themselves.
constexpr std::optional<PhaseEvent> due_event(Phase phase, const PhaseFacts& facts) {
    if (phase == Phase::Closed)
        return facts.up && !facts.drain && !facts.held ? std::optional(PhaseEvent::Up) : std::nullopt;
    if (phase == Phase::Ending) {
        const bool gone = !facts.processes && (facts.up || !facts.finishing);
        return gone ? std::optional(PhaseEvent::Gone) : std::nullopt;
    }
    if (is_ending(phase)) return std::nullopt;
    if (!facts.up || facts.drain) return PhaseEvent::Down;
    if (phase == Phase::Paused && facts.pause_over) return PhaseEvent::Due;
    if (phase == Phase::Open && facts.ran) return PhaseEvent::Ran;
    return std::nullopt;
}

// A hurry leaves no phase that asks, and whoever may spawn is asked before it is stopped.
static_assert([] {
    for (std::size_t p = 0; p < kPhases; ++p) {
        const Phase next = step(static_cast<Phase>(p), PhaseEvent::Hurry).next;
        if (next != Phase::Closed && next != Phase::Ending) return false;
        if (may_spawn(static_cast<Phase>(p)) &&
            step(static_cast<Phase>(p), PhaseEvent::Down).next != Phase::BeforeStop)
            return false;
    }
    return true;
}());

}  // namespace circus::model
