// The life of one process as one total table: states × events → next state and act.
//
//   Idle      a spawn was asked for and not answered yet
//   Running   the keeper said Spawned
//   Stopping  its stop signal is sent (or will be as soon as it is spawned), the grace runs
//   Killing   the grace is over, SIGKILL is sent (or will be)
//   Gone      reaped, or never came to be; the object only waits to be dropped
//
// Driven by supervise::Process::apply(), the one door. Pure: no clock, no descriptor.
#pragma once

#include <array>
#include <cstddef>

namespace circus::model {

enum class ProcessState : unsigned char { Idle, Running, Stopping, Killing, Gone };
enum class ProcessEvent : unsigned char { Spawned, SpawnFailed, Stop, GraceOver, Exited };
enum class ProcessAct : unsigned char { None, SendStop, SendKill };

constexpr std::size_t kProcessStates = 5;
constexpr std::size_t kProcessEvents = 5;

struct ProcessStep {
    ProcessState next;
    ProcessAct act;
};

namespace detail {
using S = ProcessState;
using A = ProcessAct;
// Rows: states. Columns: Spawned, SpawnFailed, Stop, GraceOver, Exited. A cell that says "stay, do nothing"
// is an event that cannot come or has nothing left to change there: a second Stop, an answer for a process
// that is Gone. A Stop before Spawned is remembered by the state: the signal goes out when the keeper says
// there is a pid.
inline constexpr std::array<std::array<ProcessStep, kProcessEvents>, kProcessStates> kProcessTable = {{
    /* Idle     */ {{{S::Running, A::None},
                     {S::Gone, A::None},
                     {S::Stopping, A::None},
                     {S::Idle, A::None},
                     {S::Gone, A::None}}},
    /* Running  */
    {{{S::Running, A::None},
      {S::Running, A::None},
      {S::Stopping, A::SendStop},
      {S::Running, A::None},
      {S::Gone, A::None}}},
    /* Stopping */
    {{{S::Stopping, A::SendStop},
      {S::Gone, A::None},
      {S::Stopping, A::None},
      {S::Killing, A::SendKill},
      {S::Gone, A::None}}},
    /* Killing  */
    {{{S::Killing, A::SendKill},
      {S::Gone, A::None},
      {S::Killing, A::None},
      {S::Killing, A::None},
      {S::Gone, A::None}}},
    /* Gone     */
    {{{S::Gone, A::None}, {S::Gone, A::None}, {S::Gone, A::None}, {S::Gone, A::None}, {S::Gone, A::None}}},
}};
}  // namespace detail

constexpr ProcessStep step(ProcessState state, ProcessEvent event) {
    return detail::kProcessTable[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

// Complete: Exited ends every state, and nothing leaves Gone.
static_assert([] {
    for (std::size_t s = 0; s < kProcessStates; ++s)
        if (step(static_cast<ProcessState>(s), ProcessEvent::Exited).next != ProcessState::Gone) return false;
    for (std::size_t e = 0; e < kProcessEvents; ++e)
        if (step(ProcessState::Gone, static_cast<ProcessEvent>(e)).next != ProcessState::Gone) return false;
    return true;
}());

}  // namespace circus::model
