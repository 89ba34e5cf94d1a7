// The tables that decide about hooks: what an answer leads to, and where a start and a stop stand.
#include "model/phase.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace circus::model {
namespace {

using P = Phase;
using E = PhaseEvent;
using A = PhaseAct;
using H = HookPoint;
using O = HookOutcome;

const std::vector<H> kAllPoints{H::BeforeStart, H::AfterStart, H::BeforeSpawn,  H::AfterSpawn,
                                H::BeforeStop,  H::AfterStop,  H::BeforeSignal, H::AfterSignal,
                                H::BeforeReap,  H::AfterReap,  H::ExtendedStats};
const std::vector<P> kAllPhases{P::Closed,  P::BeforeStart, P::Paused, P::Open,     P::AfterStart,
                                P::Started, P::BeforeStop,  P::Ending, P::AfterStop};

// The phases that `events` lead through from `phase`, and what was done on the way.
std::vector<A> acts(P& phase, const std::vector<E>& events) {
    std::vector<A> done;
    for (const E event : events) {
        const PhaseStep next = step(phase, event);
        phase = next.next;
        done.push_back(next.act);
    }
    return done;
}

TEST(HookOutcome, OnlyWhatIsAskedAboutAStartOrASignalCanRefuse) {
    for (const H point : kAllPoints) {
        const bool start = point <= H::AfterSpawn;
        EXPECT_EQ(outcome_of(point, HookVerdict::Ok, false), O::Go) << to_string(point);
        EXPECT_EQ(outcome_of(point, HookVerdict::Deny, false),
                  start || point == H::BeforeSignal ? O::Abort : O::Go)
            << to_string(point);
        EXPECT_EQ(outcome_of(point, HookVerdict::Error, false), start ? O::Abort : O::Go) << to_string(point);
    }
}

TEST(HookOutcome, RetryAsksAgainBeforeAStartOrASpawnAndIsAFailureElsewhere) {
    EXPECT_EQ(outcome_of(H::BeforeStart, HookVerdict::Retry, false), O::Again);
    EXPECT_EQ(outcome_of(H::BeforeSpawn, HookVerdict::Retry, true), O::Again);
    EXPECT_EQ(outcome_of(H::AfterStart, HookVerdict::Retry, false), O::Abort);
    EXPECT_EQ(outcome_of(H::AfterSpawn, HookVerdict::Retry, true), O::Go);
    EXPECT_EQ(outcome_of(H::BeforeSignal, HookVerdict::Retry, false), O::Go);
}

TEST(HookOutcome, IgnoreFailureForgivesAnErrorButNotANo) {
    for (const H point : kAllPoints) {
        EXPECT_EQ(outcome_of(point, HookVerdict::Error, true), O::Go) << to_string(point);
        EXPECT_EQ(outcome_of(point, HookVerdict::Deny, true), outcome_of(point, HookVerdict::Deny, false));
    }
}

TEST(HookOutcome, OfSeveralTheSternestCounts) {
    EXPECT_EQ(sterner(O::Go, O::Go), O::Go);
    EXPECT_EQ(sterner(O::Go, O::Again), O::Again);
    EXPECT_EQ(sterner(O::Again, O::Abort), O::Abort);
    EXPECT_EQ(sterner(O::Abort, O::Go), O::Abort);
}

TEST(HookPoints, AreFoundByTheirNamesAndNoOthers) {
    for (const H point : kAllPoints) EXPECT_EQ(find_hook_point(to_string(point)), point);
    for (const auto* name : {"", "before", "Before_start", "before_start ", "hooks.before_start"})
        EXPECT_EQ(find_hook_point(name), std::nullopt) << name;
}

TEST(Phase, AStartAndAStopAskEachHookOnceAndInOrder) {
    P phase = P::Closed;
    EXPECT_EQ(acts(phase, {E::Up, E::Go, E::Ran, E::Go, E::Down, E::Go, E::Gone, E::Go}),
              (std::vector<A>{A::AskBeforeStart, A::None, A::AskAfterStart, A::AnnounceStart,
                              A::AskBeforeStop, A::None, A::AnnounceStop, A::None}));
    EXPECT_EQ(phase, P::Closed);
}

TEST(Phase, ANoBeforeTheStartLeavesNothingToStop) {
    P phase = P::Closed;
    EXPECT_EQ(acts(phase, {E::Up, E::Abort}), (std::vector<A>{A::AskBeforeStart, A::GiveUp}));
    EXPECT_EQ(phase, P::Closed);
}

TEST(Phase, ANoAfterTheStartStopsWhatWasStarted) {
    P phase = P::Open;
    EXPECT_EQ(acts(phase, {E::Ran, E::Abort, E::Down, E::Go}),
              (std::vector<A>{A::AskAfterStart, A::GiveUp, A::AskBeforeStop, A::None}));
    EXPECT_EQ(phase, P::Ending);
}

TEST(Phase, RetryPausesAndAsksAgain) {
    P phase = P::Closed;
    EXPECT_EQ(acts(phase, {E::Up, E::Again, E::Due, E::Go}),
              (std::vector<A>{A::AskBeforeStart, A::Pause, A::AskBeforeStart, A::None}));
    EXPECT_EQ(phase, P::Open);
}

TEST(Phase, AStopOvertakesWhateverIsAskedAboutTheStart) {
    for (const P phase : {P::BeforeStart, P::Paused}) EXPECT_EQ(step(phase, E::Down).next, P::Closed);
    EXPECT_EQ(step(P::BeforeStart, E::Down).act, A::DropAsked);
    EXPECT_EQ(step(P::AfterStart, E::Down).next, P::BeforeStop);
    EXPECT_EQ(step(P::AfterStart, E::Down).act, A::AskBeforeStop);
}

TEST(Phase, NoAnswerToAHookOfTheStopKeepsTheWatcherUp) {
    for (const E answer : {E::Go, E::Abort, E::Again}) {
        EXPECT_EQ(step(P::BeforeStop, answer).next, P::Ending);
        EXPECT_EQ(step(P::AfterStop, answer).next, P::Closed);
    }
}

TEST(Phase, AHurryAsksNobodyAndWaitsForNoAnswer) {
    for (const P phase : kAllPhases) {
        const PhaseStep hurried = step(phase, E::Hurry);
        EXPECT_EQ(hurried.next, has_begun(phase) && phase != P::AfterStop ? P::Ending : P::Closed);
        EXPECT_TRUE(hurried.act == A::None || hurried.act == A::DropAsked);
    }
}

TEST(Phase, OnlyAfterItsBeforeStartAndBeforeItsBeforeStopMayItSpawn) {
    for (const P phase : kAllPhases)
        EXPECT_EQ(may_spawn(phase), phase == P::Open || phase == P::AfterStart || phase == P::Started);
}

TEST(PhaseFacts, DownAndARestartEndAStartInEveryPhaseOfIt) {
    for (const P phase : {P::BeforeStart, P::Paused, P::Open, P::AfterStart, P::Started}) {
        EXPECT_EQ(due_event(phase, {.up = false}), E::Down);
        EXPECT_EQ(due_event(phase, {.up = true, .drain = true, .ran = true, .pause_over = true}), E::Down);
    }
}

TEST(PhaseFacts, NothingIsDueWhileAHookOfTheStopIsAsked) {
    for (const P phase : {P::BeforeStop, P::AfterStop})
        for (const bool up : {false, true}) EXPECT_EQ(due_event(phase, {.up = up}), std::nullopt);
}

TEST(PhaseFacts, AStopIsOverWhenItsProcessesAreGoneAndTheirOutputRead) {
    EXPECT_EQ(due_event(P::Ending, {.processes = true}), std::nullopt);
    EXPECT_EQ(due_event(P::Ending, {.finishing = true}), std::nullopt);
    EXPECT_EQ(due_event(P::Ending, {}), E::Gone);
    EXPECT_EQ(due_event(P::Ending, {.up = true, .drain = true, .finishing = true}), E::Gone)
        << "a restart does not wait for the last output";
}

TEST(PhaseFacts, AStartDuringAStopWaitsForItsEnd) {
    EXPECT_EQ(due_event(P::Closed, {.up = true, .drain = true}), std::nullopt);
    EXPECT_EQ(due_event(P::Closed, {.up = true}), E::Up);
}

TEST(PhaseFacts, APauseIsOverInItsTimeAndAStartIsWhenEverySlotRan) {
    EXPECT_EQ(due_event(P::Paused, {.up = true}), std::nullopt);
    EXPECT_EQ(due_event(P::Paused, {.up = true, .pause_over = true}), E::Due);
    EXPECT_EQ(due_event(P::Open, {.up = true}), std::nullopt);
    EXPECT_EQ(due_event(P::Open, {.up = true, .ran = true}), E::Ran);
}

}  // namespace
}  // namespace circus::model
