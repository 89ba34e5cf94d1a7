#include "model/reconcile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace circus::model {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using S = ProcessState;

const TimePoint kNow{100s};

WatcherView up(int numprocesses) {
    WatcherView view;
    view.up = true;
    view.numprocesses = numprocesses;
    for (Wid wid = 1; wid <= numprocesses; ++wid) view.slots.push_back({wid, TimePoint{}, false});
    return view;
}

ProcessView process(Wid wid, S state = S::Running) {
    ProcessView p;
    p.wid = wid;
    p.state = state;
    p.started = kNow - 10s;
    return p;
}

ProcessView outdated(Wid wid, S state = S::Running) {
    ProcessView p = process(wid, state);
    p.outdated = true;
    return p;
}

TEST(Reconcile, FillsTheEmptySlotsInOrder) {
    WatcherView view = up(4);
    view.processes = {process(2)};
    EXPECT_THAT(reconcile(view, kNow).spawn, ElementsAre(1, 3, 4));
}

TEST(Reconcile, ASpawnThatIsUnderWayCounts) {
    WatcherView view = up(1);
    view.processes = {process(1, S::Idle)};
    EXPECT_THAT(reconcile(view, kNow).spawn, IsEmpty());
}

TEST(Reconcile, AtRestNothingIsToDoAndTimeAloneChangesNothing) {
    WatcherView view = up(2);
    view.processes = {process(1), process(2)};
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, IsEmpty());
    EXPECT_THAT(plan.stop, IsEmpty());
    EXPECT_EQ(plan.look_again, std::nullopt);
}

TEST(Reconcile, DownStopsEverythingAlive) {
    WatcherView view = up(3);
    view.up = false;
    view.processes = {process(1), process(2, S::Idle), process(3, S::Stopping)};
    view.processes[2].grace_over = kNow + 5s;
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.stop, ElementsAre(0, 1));
    EXPECT_THAT(plan.spawn, IsEmpty());
    EXPECT_EQ(plan.look_again, kNow + 5s);
}

TEST(Reconcile, WhatOverstaysItsGraceIsKilled) {
    WatcherView view = up(1);
    view.up = false;
    view.processes = {process(1, S::Stopping)};
    view.processes[0].grace_over = kNow;
    EXPECT_THAT(reconcile(view, kNow).kill, ElementsAre(0));
}

TEST(Reconcile, FewerProcessesMeansTheHighestWidsGo) {
    WatcherView view = up(2);
    view.processes = {process(1), process(2), process(3), process(4)};
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(2, 3));
}

TEST(Reconcile, ASlotInBackOffWaitsAndDelaysNoOther) {
    WatcherView view = up(3);
    view.slots[1].not_before = kNow + 40ms;
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, ElementsAre(1, 3));
    EXPECT_EQ(plan.look_again, kNow + 40ms);
    EXPECT_THAT(reconcile(view, kNow + 40ms).spawn, ElementsAre(1, 2, 3));
}

TEST(Reconcile, WarmupSpacesTheSpawns) {
    WatcherView view = up(3);
    view.warmup = 2s;
    Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, ElementsAre(1));
    EXPECT_EQ(plan.look_again, kNow + 2s);
    view.last_spawn = kNow;
    view.processes = {process(1)};
    EXPECT_THAT(reconcile(view, kNow + 1s).spawn, IsEmpty());
    EXPECT_THAT(reconcile(view, kNow + 2s).spawn, ElementsAre(2));
}

TEST(Reconcile, StopDuringWarmupCancelsThePendingSpawn) {
    WatcherView view = up(3);
    view.warmup = 2s;
    view.last_spawn = kNow;
    view.processes = {process(1)};
    view.up = false;
    const Plan plan = reconcile(view, kNow + 2s);
    EXPECT_THAT(plan.spawn, IsEmpty());
    EXPECT_THAT(plan.stop, ElementsAre(0));
    EXPECT_EQ(plan.look_again, std::nullopt);
}

TEST(Reconcile, ASpentSlotStaysEmpty) {
    WatcherView view = up(2);
    view.slots[0].spent = true;
    EXPECT_THAT(reconcile(view, kNow).spawn, ElementsAre(2));
}

TEST(Reconcile, AKilledProcessIsReplacedOnlyWhenItIsGone) {
    WatcherView view = up(1);
    view.processes = {process(1)};
    view.processes[0].condemned = true;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(0));
    view.processes[0].state = S::Stopping;
    view.processes[0].grace_over = kNow + 1s;
    EXPECT_THAT(reconcile(view, kNow).spawn, IsEmpty());
    view.processes.clear();
    EXPECT_THAT(reconcile(view, kNow).spawn, ElementsAre(1));
}

TEST(Reconcile, DrainStartsNothingUntilEverythingIsGone) {
    WatcherView view = up(2);
    view.drain = true;
    view.processes = {process(1)};
    Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.stop, ElementsAre(0));
    EXPECT_THAT(plan.spawn, IsEmpty());
    view.processes.clear();
    EXPECT_THAT(reconcile(view, kNow).spawn, ElementsAre(1, 2));
}

TEST(Reload, StartsEveryReplacementBeforeItStopsTheFirst) {
    WatcherView view = up(2);
    view.reloading = true;
    view.processes = {outdated(1), outdated(2)};
    Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, ElementsAre(1, 2));
    EXPECT_THAT(plan.stop, IsEmpty());

    view.processes = {outdated(1), outdated(2), process(1), process(2, S::Idle)};
    EXPECT_THAT(reconcile(view, kNow).stop, IsEmpty());

    view.processes[3].state = S::Running;
    plan = reconcile(view, kNow);
    EXPECT_THAT(plan.stop, ElementsAre(0, 1));
    EXPECT_THAT(plan.spawn, IsEmpty());
}

TEST(Reload, AReplacementThatDiesIsStartedAgainAndTheOldOnesStay) {
    WatcherView view = up(2);
    view.reloading = true;
    view.processes = {outdated(1), outdated(2), process(1)};
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, ElementsAre(2));
    EXPECT_THAT(plan.stop, IsEmpty());
}

TEST(Reload, OneByOneStopsTheOldestAndWaitsForItsReplacement) {
    WatcherView view = up(2);
    view.reloading = true;
    view.replacement = Replacement::OneByOne;
    view.processes = {outdated(1), outdated(2)};
    view.processes[1].started = kNow - 20s;
    Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.stop, ElementsAre(1));
    EXPECT_THAT(plan.spawn, IsEmpty());

    view.processes[1].state = S::Stopping;
    view.processes[1].grace_over = kNow + 1s;
    plan = reconcile(view, kNow);
    EXPECT_THAT(plan.stop, IsEmpty());
    EXPECT_THAT(plan.spawn, IsEmpty());

    view.processes = {outdated(1)};
    plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, ElementsAre(2));
    EXPECT_THAT(plan.stop, IsEmpty());

    view.processes = {outdated(1), process(2, S::Idle)};
    EXPECT_THAT(reconcile(view, kNow).stop, IsEmpty());
    view.processes[1].state = S::Running;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(0));
}

TEST(MaxAge, ReplacesEachProcessOnItsOwnNewOneFirst) {
    WatcherView view = up(2);
    view.processes = {process(1), process(2)};
    view.processes[0].expires = kNow;
    view.processes[1].expires = kNow + 30s;
    Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.expired, ElementsAre(0));
    EXPECT_THAT(plan.spawn, ElementsAre(1));
    EXPECT_THAT(plan.stop, IsEmpty());
    EXPECT_EQ(plan.look_again, kNow + 30s);

    view.processes = {outdated(1), process(2), process(1)};
    plan = reconcile(view, kNow);
    EXPECT_THAT(plan.stop, ElementsAre(0));
    EXPECT_THAT(plan.spawn, IsEmpty());
}

WatcherView armed() {
    WatcherView view = up(2);
    view.up = false;
    view.armed = true;
    return view;
}

TEST(OnDemand, AnArmedWatcherThatIsDownAwaitsAConnectionAndStartsNothing) {
    const Plan plan = reconcile(armed(), kNow);
    EXPECT_TRUE(plan.await);
    EXPECT_THAT(plan.spawn, IsEmpty());
    EXPECT_EQ(plan.look_again, std::nullopt);
}

TEST(OnDemand, OneThatIsNotArmedOrUpAwaitsNothing) {
    WatcherView view = armed();
    view.armed = false;
    EXPECT_FALSE(reconcile(view, kNow).await);
    view.armed = view.up = true;
    const Plan plan = reconcile(view, kNow);
    EXPECT_FALSE(plan.await);
    EXPECT_THAT(plan.spawn, ElementsAre(1, 2));
}

TEST(OnDemand, NothingIsAwaitedBeforeEverythingOfItIsGone) {
    WatcherView view = armed();
    view.processes = {process(1, S::Stopping)};
    view.processes[0].grace_over = kNow + 5s;
    EXPECT_FALSE(reconcile(view, kNow).await);
    view.processes.clear();
    view.finishing = true;
    EXPECT_FALSE(reconcile(view, kNow).await);
}

TEST(OnDemand, ItsBackOffPostponesTheAwaiting) {
    WatcherView view = armed();
    view.await_not_before = kNow + 1s;
    const Plan plan = reconcile(view, kNow);
    EXPECT_FALSE(plan.await);
    EXPECT_EQ(plan.look_again, kNow + 1s);
    EXPECT_TRUE(reconcile(view, kNow + 1s).await);
}

TEST(StopCommand, FillsNoSlotIsKilledAtItsGraceAndHoldsADrain) {
    WatcherView view = up(1);
    view.drain = true;
    ProcessView command = process(0, S::Stopping);
    command.grace_over = kNow + 1s;
    view.processes = {command};
    EXPECT_THAT(reconcile(view, kNow).spawn, IsEmpty());
    EXPECT_EQ(reconcile(view, kNow).look_again, kNow + 1s);
    EXPECT_THAT(reconcile(view, kNow + 1s).kill, ElementsAre(0));
    view.drain = false;
    EXPECT_THAT(reconcile(view, kNow).spawn, ElementsAre(1));
}

TEST(Reconcile, NoProcessesWantedIsARestingState) {
    WatcherView view = up(0);
    view.reloading = true;
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, IsEmpty());
    EXPECT_EQ(plan.look_again, std::nullopt);
}

// ---- hooks ----

TEST(Reconcile, WhileAHookIsAskedAboutTheStartNothingIsSpawnedAndWhatRunsStays) {
    WatcherView view = up(3);
    view.processes = {process(1)};
    view.hold_spawn = true;
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.spawn, IsEmpty());
    EXPECT_THAT(plan.stop, IsEmpty());
}

TEST(Reconcile, WhoIsReplacedAndLeavesASocketLingersFirst) {
    WatcherView view = up(2);
    view.processes = {process(1), process(2), process(1), process(2)};
    for (const std::size_t i : {0U, 1U}) {
        view.processes[i].outdated = view.processes[i].leaves_sockets = true;
        view.processes[i].lingers = kNow + 5s;
        view.processes[i].lingers_look = kNow + 1s;
    }
    view.processes[1].lingers = kNow;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(1));
    EXPECT_EQ(reconcile(view, kNow).look_again, kNow + 1s);
    view.replacement = Replacement::Rolling;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(1));
    view.up = false;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(1, 2, 3));
    view.processes[0].leaves_sockets = false;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(0, 1, 2, 3));
}

TEST(Reconcile, WhoLingersIsLookedAtAndStoppedWhenItsTimeIsOverOrTheWatcherGoesDown) {
    WatcherView view = up(1);
    view.processes = {process(1), process(2), process(3)};
    view.processes[1].lingers = kNow + 10s;
    view.processes[1].lingers_look = kNow + 1s;
    view.processes[2].lingers = kNow;
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.stop, ElementsAre(2));
    EXPECT_EQ(plan.look_again, kNow + 1s);
    EXPECT_THAT(reconcile(view, kNow + 10s).stop, ElementsAre(1, 2));
    view.processes[1].condemned = true;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(1, 2));
    view.processes[1].condemned = false;
    view.up = false;
    EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(0, 1, 2));
}

TEST(Reconcile, WhileBeforeStopIsAskedOnlyWhatIsKilledOrTooManyIsStopped) {
    WatcherView view = up(3);
    view.processes = {process(1), process(2), process(4)};
    view.processes[1].condemned = true;
    view.hold_stop = view.hold_spawn = true;
    for (const bool restart : {false, true}) {
        view.up = view.drain = restart;
        EXPECT_THAT(reconcile(view, kNow).stop, ElementsAre(1, 2));
    }
    view.processes[0].state = S::Stopping;
    view.processes[0].grace_over = kNow;
    EXPECT_THAT(reconcile(view, kNow).kill, ElementsAre(0)) << "a grace ends also then";
}

TEST(Reconcile, ASlotWhoseSpawnIsAskedIsNotAskedAgainAndHoldsUpNoOther) {
    WatcherView view = up(3);
    view.slots[0].asked = true;
    EXPECT_THAT(reconcile(view, kNow).spawn, ElementsAre(2, 3));
    view.warmup = 1s;
    EXPECT_THAT(reconcile(view, kNow).spawn, IsEmpty()) << "with a warm-up one follows the other";
}

TEST(Reconcile, AReplacementTakesNoPlaceBeforeItsAfterSpawnHasAnswered) {
    for (const Replacement how : {Replacement::NewFirst, Replacement::OneByOne}) {
        WatcherView view = up(2);
        view.reloading = true;
        view.replacement = how;
        view.processes = {outdated(1), outdated(2), process(1), process(2)};
        if (how == Replacement::OneByOne) view.processes = {process(1), outdated(2)};
        view.processes[how == Replacement::NewFirst ? 3 : 0].unproven = true;
        EXPECT_THAT(reconcile(view, kNow).stop, IsEmpty());
        for (auto& p : view.processes) p.unproven = false;
        EXPECT_FALSE(reconcile(view, kNow).stop.empty());
    }
}

}  // namespace
}  // namespace circus::model
