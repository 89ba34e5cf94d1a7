// Draining without one real process: who is idle is what the test says.
#include <csignal>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_stack.hpp"
#include "supervise/drain.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

struct FakeDrain final : DrainPort {
    bool has_work(pid_t pid, const std::vector<SocketTable::Held>&) override {
        ++looks;
        if (clock) clock->advance(costs);
        return !idle.contains(pid);
    }
    bool has_queued(const std::vector<SocketTable::Held>& sockets) override {
        own += static_cast<int>(
            std::count_if(sockets.begin(), sockets.end(), [](const auto& each) { return each.is_own; }));
        return is_queued;
    }
    bool freeze(pid_t pid, int) override {
        if (can_freeze) frozen.push_back(pid);
        return can_freeze;
    }
    bool stands_still(pid_t) override { return is_still; }
    std::set<pid_t> idle;
    std::vector<pid_t> frozen;
    bool can_freeze = false, is_still = false;
    bool is_queued = false;
    int own = 0;  // listeners that were asked about
    int looks = 0;
    FakeClock* clock = nullptr;
    Duration costs{};  // of a look, by that clock
};

struct WatcherDrainTest : ::testing::Test, FakeStack {
    void SetUp() override { drain = &drained; }
    // Four of them, of which two are too many from now on.
    void drain_two(Duration patience = 10s) {
        boot_running();
        arbiter->set_numprocesses(
            at("web"), 2, [this](auto) { done = true; }, patience);
        arbiter->settle();
    }
    std::vector<int> signals_to(int wid) {
        std::vector<int> out;
        for (const auto& sent : keeper.sent)
            if (sent.id == child("web", wid)) out.push_back(sent.signo);
        return out;
    }
    FakeDrain drained;
    bool done = false;
};

TEST_F(WatcherDrainTest, WhoIsBusyIsStoppedWhenItIsIdleAndNobodyElseIs) {
    watcher("web", 4);
    drain_two();
    pass(1s);
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3, 4));
    drained.idle.insert(pids[child("web", 4)]);
    pass(1s);
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM));
    EXPECT_THAT(signals_to(3), IsEmpty());
    obey();
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3));
    EXPECT_FALSE(done);
    drained.idle.insert(pids[child("web", 3)]);
    pass(1s);
    obey();
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
    EXPECT_TRUE(done);
    EXPECT_THAT(keeper.asked, IsEmpty());
}

struct FrozenTest : WatcherDrainTest {
    // The fourth of four is idle, and was told to stand still.
    void freeze_one() {
        drained.can_freeze = true;
        watcher("web", 4);
        drain_two();
        drained.idle.insert(pids[child("web", 4)]);
        pass(1s);
        EXPECT_THAT(drained.frozen, ElementsAre(pids[child("web", 4)]));
        EXPECT_THAT(keeper.sent, IsEmpty());
    }
};

TEST_F(FrozenTest, OneThatIsIdleWhenItStandsStillGetsItsStopSignalBeforeItGoesOn) {
    freeze_one();
    pass(10ms);
    EXPECT_THAT(keeper.sent, IsEmpty()) << "it does not stand still yet";
    drained.is_still = true;
    pass(10ms);
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM, SIGCONT));
    EXPECT_THAT(signals_to(3), IsEmpty());
}

TEST_F(FrozenTest, OneThatHasTakenAConnectionMeanwhileGoesOn) {
    freeze_one();
    drained.is_still = true;
    drained.idle.clear();
    pass(10ms);
    EXPECT_THAT(signals_to(4), ElementsAre(SIGCONT));
    drained.idle.insert(pids[child("web", 4)]);
    pass(10ms);
    EXPECT_THAT(drained.frozen, SizeIs(2)) << "and it is tried again";
}

TEST_F(FrozenTest, OneThatDoesNotComeToAStandstillGoesOn) {
    freeze_one();
    pass(400ms);
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(200ms);
    EXPECT_THAT(signals_to(4), ElementsAre(SIGCONT));
}

TEST_F(FrozenTest, OneThatIsWantedAgainGoesOn) {
    freeze_one();
    arbiter->set_numprocesses(at("web"), 4, {});
    arbiter->settle();
    EXPECT_THAT(signals_to(4), ElementsAre(SIGCONT));
}

TEST_F(FrozenTest, AStopReachesIt) {
    freeze_one();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM, SIGCONT));
}

TEST_F(FrozenTest, WithAStopCommandNobodyStandsStill) {
    drained.can_freeze = true;
    watcher("web", 4).stop_command = "/bin/stop";
    drain_two();
    for (const auto& [id, pid] : pids) drained.idle.insert(pid);
    pass(1s);
    EXPECT_THAT(drained.frozen, IsEmpty());
}

TEST_F(WatcherDrainTest, AHandshakeThatWasUnderWayIsWaitedFor) {
    watcher("web", 3);
    for (pid_t pid = 1000; pid < 1010; ++pid) drained.idle.insert(pid);
    drain_two();
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(100ms);
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(150ms);
    EXPECT_THAT(keeper.sent, SizeIs(1));
}

TEST_F(WatcherDrainTest, PatienceEnds) {
    watcher("web", 4);
    drain_two(10s);
    pass(9s);
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(2s);
    EXPECT_THAT(signals_to(3), ElementsAre(SIGTERM));
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM));
}

TEST_F(WatcherDrainTest, PatienceWithoutAnEndLetsALongRequestBeThroughAndLooksLessAndLessOften) {
    watcher("web", 4);
    drain_two(from_seconds(1e9));
    const auto looks_in = [&](int seconds) {
        const int before = drained.looks;
        for (int i = 0; i < 500 * seconds; ++i) pass(2ms);
        return drained.looks - before;
    };
    EXPECT_GT(looks_in(2), 500) << "at first often: one under load is idle for moments only";
    looks_in(50);
    EXPECT_LT(looks_in(2), 300);
    for (int hour = 0; hour < 24; ++hour) pass(1h);
    EXPECT_THAT(keeper.sent, IsEmpty());
    drained.idle.insert(pids[child("web", 4)]);
    pass(1s);
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM));
    EXPECT_THAT(signals_to(3), IsEmpty());
}

TEST_F(WatcherDrainTest, LooksThatCostMuchAreFew) {
    watcher("web", 4);
    drained.clock = &clock;
    drained.costs = 2ms;
    drain_two(from_seconds(1e9));
    const TimePoint before = clock.now();
    while (clock.now() < before + 10s) pass(1ms);
    EXPECT_GT(drained.looks, 50);
    EXPECT_LT(drained.looks, 10s / 2ms / 15);
}

TEST_F(WatcherDrainTest, WhoHasLessPatienceDecides) {
    watcher("web", 4);
    drain_two(from_seconds(1e9));
    arbiter->set_numprocesses(at("web"), 1, {}, 10s);
    arbiter->settle();
    arbiter->set_numprocesses(at("web"), 0, {}, from_seconds(1e9));
    arbiter->settle();
    pass(9s);
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(2s);
    EXPECT_THAT(keeper.sent, SizeIs(3)) << "all but the one that only the last one wanted to go";
    EXPECT_THAT(signals_to(1), IsEmpty());
}

TEST_F(WatcherDrainTest, OnesThatAreWantedAgainGoOnInTheirSlotsAndTheOthersGoOnLingering) {
    watcher("web", 4);
    drain_two();
    arbiter->set_numprocesses(at("web"), 3, {});
    arbiter->settle();
    drained.idle = {pids[child("web", 3)], pids[child("web", 4)]};
    pass(1s);
    EXPECT_THAT(signals_to(3), IsEmpty());
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM));
    EXPECT_THAT(keeper.asked, IsEmpty());
    obey();
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3));
    EXPECT_TRUE(done);
}

TEST_F(WatcherDrainTest, FewerWithoutADrainEndsThePatienceOfAll) {
    watcher("web", 4);
    drain_two();
    arbiter->set_numprocesses(at("web"), 1, {});
    arbiter->settle();
    EXPECT_THAT(keeper.sent, SizeIs(3));
}

TEST_F(WatcherDrainTest, AStopAndAKillEndIt) {
    watcher("web", 4);
    drain_two();
    KillRequest request;
    request.pid = pids[child("web", 4)];
    arbiter->kill(at("web"), request, {});
    arbiter->settle();
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM));
    arbiter->stop(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(signals_to(3), ElementsAre(SIGTERM));
    obey();
    EXPECT_THAT(wids("web"), IsEmpty());
}

TEST_F(WatcherDrainTest, WhoDiesMeanwhileIsNotReplaced) {
    watcher("web", 4);
    drain_two();
    die(child("web", 4), 0);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3));
}

TEST_F(WatcherDrainTest, WhereNobodyCanTellWhoIsIdleFewerIsAtOnce) {
    drain = nullptr;
    watcher("web", 4);
    drain_two();
    EXPECT_THAT(keeper.sent, SizeIs(2));
}

TEST_F(WatcherDrainTest, TheNextArbiterGoesOnWithIt) {
    watcher("web", 4);
    drain_two(10s);
    pass(1s);
    take_over();
    pass(1s);
    EXPECT_THAT(signals_to(3), Not(testing::Contains(SIGTERM)));
    drained.idle.insert(pids[child("web", 3)]);
    pass(1s);
    EXPECT_THAT(signals_to(3), testing::Contains(SIGTERM));
    EXPECT_THAT(signals_to(4), Not(testing::Contains(SIGTERM)));
    pass(10s);
    EXPECT_THAT(signals_to(4), testing::Contains(SIGTERM));
}

// A listener each worker.
config::SocketConfig shared_door() {
    config::SocketConfig door;
    door.name = "door";
    door.host = "127.0.0.1";
    door.port = 0;
    door.so_reuseport = true;
    return door;
}

struct OwnListenersTest : WatcherDrainTest {
    void configure() {
        config.sockets.push_back(shared_door());
        auto& web = watcher("web", 4);
        web.use_sockets = true;
    }
    // As drain_two(), without a drain.
    void two_fewer() {
        configure();
        drain_two({});
    }
};

TEST_F(OwnListenersTest, WhatWaitsOnAListenerThatGoesIsAcceptedFirst) {
    drained.is_queued = true;
    two_fewer();
    pass(1s);
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_GT(drained.own, 0);
    EXPECT_THAT(keeper.held, SizeIs(4));
    drained.is_queued = false;
    pass(1s);
    EXPECT_THAT(signals_to(3), ElementsAre(SIGTERM)) << "whatever it has in hand";
    EXPECT_THAT(signals_to(4), ElementsAre(SIGTERM));
    obey();
    EXPECT_TRUE(done);
    EXPECT_THAT(keeper.held, SizeIs(2));
}

TEST_F(OwnListenersTest, WhoAcceptsNothingAnyMoreIsNotWaitedForMuchLonger) {
    drained.is_queued = true;
    two_fewer();
    pass(4s);
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(2s);
    EXPECT_THAT(keeper.sent, SizeIs(2));
}

TEST_F(OwnListenersTest, AnOptionThatIsSetKeepsTheListenersOfWhoIsDrained) {
    drained.is_queued = true;
    two_fewer();
    ASSERT_TRUE(arbiter->set_options(at("web"), {{"graceful_timeout", 7}}, {}));
    arbiter->settle();
    EXPECT_THAT(keeper.held, SizeIs(4));
}

TEST_F(OwnListenersTest, FewerByAnOptionIsAsGentle) {
    drained.is_queued = true;
    configure();
    boot_running();
    ASSERT_TRUE(arbiter->set_options(at("web"), {{"numprocesses", 2}}, {}));
    arbiter->settle();
    pass(1s);
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_THAT(keeper.held, SizeIs(4)) << "each has the listener on which connections wait";
    drained.is_queued = false;
    pass(1s);
    obey();
    EXPECT_THAT(keeper.held, SizeIs(2));
}

TEST_F(OwnListenersTest, WhereNobodyIsLeftNobodyIsWaitedFor) {
    drained.is_queued = true;
    two_fewer();
    arbiter->set_numprocesses(at("web"), 0, {});
    arbiter->settle();
    EXPECT_THAT(keeper.sent, SizeIs(4));
}

// Two watchers have one socket, a listener each worker; "web" is about to lose it.
struct SharedDoorTest : WatcherDrainTest {
    void SetUp() override {
        WatcherDrainTest::SetUp();
        config.sockets.push_back(shared_door());
        watcher("more", 2).use_sockets = true;
        watcher("web", 2).use_sockets = true;
        boot_running();
        drained.is_queued = true;
    }
    void lose_it() {
        daemon.file.config.watchers.back().use_sockets = false;
        arbiter->reconfigure(ConfigChange::Reload, [](const auto&) {});
        arbiter->settle();
        for (auto& [job, then] : std::exchange(worker.jobs, {})) {
            job();
            then();
        }
        arbiter->settle();
    }
    std::vector<std::string> slots(bool leaving) {
        std::vector<std::string> of;
        for (const auto& [key, slot] : arbiter->sockets().find("door")->slots)
            if (slot.is_leaving == leaving) of.push_back(key.first + "/" + std::to_string(key.second));
        return of;
    }
    std::size_t stopped() const { return keeper.sent.size(); }
};

TEST_F(SharedDoorTest, SlotsOfASocketThatIsUsedNoMoreLeaveAndWhatWaitsThereIsAcceptedFirst) {
    lose_it();
    EXPECT_THAT(slots(true), ElementsAre("web/1", "web/2"));
    spawn_all();
    pass(1s);
    EXPECT_EQ(stopped(), 0U) << "their replacements run, but connections wait";
    drained.is_queued = false;
    pass(10ms);
    EXPECT_EQ(stopped(), 2U);
    EXPECT_THAT(slots(true), SizeIs(2)) << "up to their end they have the listeners";
    obey();
    EXPECT_THAT(slots(true), IsEmpty());
    EXPECT_THAT(slots(false), ElementsAre("more/1", "more/2"));
    EXPECT_THAT(keeper.held, SizeIs(2));
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
}

TEST_F(SharedDoorTest, WhoAcceptsNothingAnyMoreHoldsUpTheReloadNoLonger) {
    lose_it();
    spawn_all();
    pass(4s);
    EXPECT_EQ(stopped(), 0U);
    pass(2s);
    EXPECT_EQ(stopped(), 2U);
}

TEST_F(SharedDoorTest, AStopWaitsForNothing) {
    lose_it();
    spawn_all();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    EXPECT_EQ(stopped(), 4U);
}

TEST_F(SharedDoorTest, WhereNobodyElseHasItNobodyIsWaitedFor) {
    drained.is_queued = false;
    arbiter->remove(at("more"), false, {});
    pass(1s);
    obey();
    daemon.file.config.watchers.erase(daemon.file.config.watchers.begin());
    drained.is_queued = true;
    lose_it();
    spawn_all();
    pass(10ms);
    EXPECT_EQ(stopped(), 2U);
    obey();
    EXPECT_THAT(keeper.held, IsEmpty());
}

TEST_F(SharedDoorTest, TheSlotsOfAWatcherThatIsRemovedLeaveAndWhatWaitsThereIsAcceptedFirst) {
    arbiter->remove(at("web"), false, {});
    arbiter->settle();
    EXPECT_THAT(slots(true), ElementsAre("web/1", "web/2"));
    pass(1s);
    EXPECT_EQ(stopped(), 0U);
    drained.is_queued = false;
    pass(10ms);
    EXPECT_EQ(stopped(), 2U);
    obey();
    EXPECT_THAT(slots(false), ElementsAre("more/1", "more/2"));
    EXPECT_THAT(slots(true), IsEmpty());
}

TEST_F(SharedDoorTest, AnotherOneOfTheSameNameGetsConnectionsInTheSlotsOfTheRemovedOne) {
    const config::WatcherConfig web = at("web").config();
    arbiter->remove(at("web"), false, {});
    arbiter->settle();
    ASSERT_TRUE(arbiter->add(web));
    arbiter->start(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(slots(false), ElementsAre("more/1", "more/2", "web/1", "web/2"));
}

}  // namespace
}  // namespace circus::supervise
