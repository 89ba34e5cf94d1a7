// When a process must be ready, and how often it is looked at until then.
#include "model/readiness.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/reconcile.hpp"

namespace circus::model {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using S = ProcessState;

const TimePoint kNow{100s};

WatcherView two_slots() {
    WatcherView view;
    view.up = true;
    view.numprocesses = 2;
    return view;
}

ProcessView process(Wid wid, bool outdated = false) {
    ProcessView p;
    p.wid = wid;
    p.state = S::Running;
    p.outdated = outdated;
    return p;
}

ProcessView awaited(Wid wid, TimePoint until) {
    ProcessView p = process(wid);
    p.unproven = true;
    p.ready_by = until;
    return p;
}

TEST(Looks, ComeSoonAtFirstAndThenEachSecond) {
    std::vector<long> pauses;
    Duration pause{};
    for (int i = 0; i < 7; ++i) {
        pause = next_look(pause);
        pauses.push_back(static_cast<long>(std::chrono::duration_cast<Milliseconds>(pause).count()));
    }
    EXPECT_THAT(pauses, ElementsAre(50, 100, 200, 400, 800, 1000, 1000));
}

TEST(Ready, AProcessThatIsAwaitedIsLookedAtAgainWhenItMustBeReady) {
    WatcherView view = two_slots();
    view.processes = {process(1), awaited(2, kNow + 3s)};
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.late, IsEmpty());
    EXPECT_THAT(plan.stop, IsEmpty());
    EXPECT_EQ(plan.look_again, kNow + 3s);
}

TEST(Ready, OneThatIsLateIsStoppedAndReplacedWhenItIsGone) {
    WatcherView view = two_slots();
    view.processes = {process(1), awaited(2, kNow)};
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.late, ElementsAre(1));
    EXPECT_THAT(plan.stop, ElementsAre(1));
    EXPECT_THAT(plan.spawn, IsEmpty());
}

TEST(Ready, WhatIsStoppedAnywayIsNotLate) {
    WatcherView view = two_slots();
    view.up = false;
    view.processes = {awaited(1, kNow)};
    const Plan plan = reconcile(view, kNow);
    EXPECT_THAT(plan.late, IsEmpty());
    EXPECT_THAT(plan.stop, ElementsAre(0));
}

TEST(Ready, AReplacementThatIsLateGoesAndWhatItWasToReplaceStays) {
    for (const Replacement how : {Replacement::NewFirst, Replacement::OneByOne}) {
        WatcherView view = two_slots();
        view.reloading = true;
        view.replacement = how;
        view.processes = {process(1, true), process(2), awaited(1, kNow)};
        const Plan plan = reconcile(view, kNow);
        EXPECT_THAT(plan.late, ElementsAre(2));
        EXPECT_THAT(plan.stop, ElementsAre(2));
    }
}

}  // namespace
}  // namespace circus::model
