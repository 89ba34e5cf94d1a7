// Reloads that go on a few processes at a time, and reloads that try a few first.
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

// What stands in a slot. O: the old one; o: the old one, on its way out; N: a new one that counts; n: one
// that does not yet; -: nothing.
WatcherView slots(const std::vector<std::string>& all) {
    WatcherView view;
    view.up = view.reloading = true;
    view.numprocesses = static_cast<int>(all.size());
    view.replacement = Replacement::Rolling;
    for (std::size_t i = 0; i < all.size(); ++i) {
        view.slots.push_back({static_cast<Wid>(i + 1), TimePoint{}, false});
        for (const char what : all[i]) {
            if (what == '-') continue;
            ProcessView p;
            p.wid = static_cast<Wid>(i + 1);
            p.state = what == 'o' ? S::Stopping : S::Running;
            p.grace_over = kNow + 10s;
            p.outdated = what == 'O' || what == 'o';
            p.unproven = what == 'n';
            p.started = kNow - 10s + std::chrono::seconds(i);
            view.processes.push_back(p);
        }
    }
    return view;
}

std::vector<Wid> stopped(const WatcherView& view, const Plan& plan) {
    std::vector<Wid> wids;
    for (const std::size_t i : plan.stop) wids.push_back(view.processes[i].wid);
    return wids;
}

TEST(Rolling, KeepsToItsSurgeAndToWhatMayBeMissing) {
    struct Row {
        std::vector<std::string> slots;
        Rollout rollout;
        std::vector<Wid> spawn, stop;
    };
    const std::vector<Row> rows = {
        // One more at a time, none missing.
        {{"O", "O", "O"}, {1, 0}, {1}, {}},
        {{"On", "O", "O"}, {1, 0}, {}, {}},
        {{"ON", "O", "O"}, {1, 0}, {}, {1}},
        {{"oN", "O", "O"}, {1, 0}, {}, {}},  // until it is gone it takes room
        {{"N", "O", "O"}, {1, 0}, {2}, {}},
        {{"N", "N", "N"}, {1, 0}, {}, {}},
        // Two more at a time.
        {{"O", "O", "O"}, {2, 0}, {1, 2}, {}},
        {{"ON", "On", "O"}, {2, 0}, {}, {1}},
        // None more, one missing: the oldest first.
        {{"O", "O", "O"}, {0, 1}, {}, {1}},
        {{"o", "O", "O"}, {0, 1}, {}, {}},
        {{"-", "O", "O"}, {0, 1}, {1}, {}},
        {{"n", "O", "O"}, {0, 1}, {}, {}},
        {{"N", "O", "O"}, {0, 1}, {}, {2}},
        // Both.
        {{"O", "O", "O", "O"}, {1, 1}, {1}, {2}},
        // A slot that is empty for another reason is filled, and counts as missing.
        {{"-", "O", "O"}, {1, 0}, {1, 2}, {}},
        {{"-", "O", "O"}, {1, 1}, {1, 2}, {}},
    };
    for (std::size_t i = 0; i < rows.size(); ++i) {
        WatcherView view = slots(rows[i].slots);
        view.rollout = rows[i].rollout;
        const Plan plan = reconcile(view, kNow);
        EXPECT_EQ(plan.spawn, rows[i].spawn) << "row " << i;
        EXPECT_EQ(stopped(view, plan), rows[i].stop) << "row " << i;
    }
}

TEST(Rolling, AnOldOneThatNeverBecameReadyIsMissedByNobody) {
    WatcherView view = slots({"O", "O"});
    view.rollout = {0, 1};
    view.processes[1].unproven = true;
    EXPECT_EQ(stopped(view, reconcile(view, kNow)), (std::vector<Wid>{2}));
}

// ---- canaries ----

WatcherView with_canary(const std::vector<std::string>& all, int count, Replacement how) {
    WatcherView view = slots(all);
    view.replacement = how;
    view.canary = {count, 30s, {}};
    return view;
}

TEST(CanaryReload, OnlyTheFirstOnesAreStartedWhateverTheMode) {
    for (const auto how : {Replacement::NewFirst, Replacement::OneByOne, Replacement::Rolling}) {
        const WatcherView view = with_canary({"O", "O", "O"}, 2, how);
        const Plan plan = reconcile(view, kNow);
        EXPECT_THAT(plan.spawn, ElementsAre(1, 2));
        EXPECT_THAT(plan.stop, IsEmpty());
        EXPECT_FALSE(plan.canary_begins);
    }
}

TEST(CanaryReload, TheWatchBeginsWhenAllOfThemCountAndNothingIsStoppedDuringIt) {
    WatcherView view = with_canary({"ON", "On", "O"}, 2, Replacement::NewFirst);
    EXPECT_FALSE(reconcile(view, kNow).canary_begins);
    view = with_canary({"ON", "ON", "O"}, 2, Replacement::NewFirst);
    Plan plan = reconcile(view, kNow);
    EXPECT_TRUE(plan.canary_begins);
    EXPECT_THAT(plan.stop, IsEmpty());
    EXPECT_EQ(plan.look_again, kNow + 30s);
    view.canary.since = kNow - 10s;
    plan = reconcile(view, kNow);
    EXPECT_FALSE(plan.canary_passed);
    EXPECT_THAT(plan.spawn, IsEmpty());
    EXPECT_EQ(plan.look_again, kNow + 20s);
}

TEST(CanaryReload, WhenTheyDidWellTheReloadGoesOnAsItsModeHasIt) {
    WatcherView view = with_canary({"ON", "O", "O"}, 1, Replacement::NewFirst);
    view.canary.since = kNow - 30s;
    Plan plan = reconcile(view, kNow);
    EXPECT_TRUE(plan.canary_passed);
    EXPECT_THAT(plan.spawn, ElementsAre(2, 3));
    EXPECT_THAT(plan.stop, IsEmpty());

    view.replacement = Replacement::Rolling;
    view.rollout = {1, 0};
    plan = reconcile(view, kNow);
    EXPECT_TRUE(plan.canary_passed);
    EXPECT_EQ(stopped(view, plan), (std::vector<Wid>{1}));
}

TEST(CanaryReload, MoreThanThereAreIsAllOfThem) {
    const WatcherView view = with_canary({"O", "O"}, 9, Replacement::OneByOne);
    EXPECT_THAT(reconcile(view, kNow).spawn, ElementsAre(1, 2));
}

}  // namespace
}  // namespace circus::model
