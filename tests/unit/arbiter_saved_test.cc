#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

struct Takeover : testing::Test, FakeStack {};

TEST_F(Takeover, ProcessesKeepTheirPlacesAndNothingIsStarted) {
    watcher("web", 3);
    boot_running();
    take_over();
    EXPECT_EQ(wids("web"), (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(at("web").status(), model::WatcherStatus::Active);
    EXPECT_TRUE(keeper.asked.empty());
    EXPECT_TRUE(keeper.sent.empty());
    EXPECT_EQ(events.take(), std::vector<std::string>{}) << "it goes on, nothing has happened";
}

TEST_F(Takeover, NoIdIsGivenOutTwice) {
    watcher("web", 2);
    boot_running();
    const ChildId last = keeper.requests.rbegin()->first;
    take_over();
    arbiter->set_numprocesses(at("web"), 3, {});
    arbiter->settle();
    ASSERT_EQ(keeper.asked.size(), 1U);
    EXPECT_GT(keeper.asked[0], last);
    EXPECT_EQ(keeper.requests.at(keeper.asked[0]).note.wid, 3);
}

TEST_F(Takeover, ADeathNobodyHasTakenInIsMadeUpFor) {
    watcher("web", 2);
    boot_running();
    const ChildId first = child("web", 1);
    take_over();
    clock.advance(std::chrono::seconds(5));
    die(first, 9);
    ASSERT_EQ(keeper.asked.size(), 1U);
    EXPECT_EQ(keeper.requests.at(keeper.asked[0]).note.wid, 1);
}

TEST_F(Takeover, WhatWasAddedSetAndStoppedAtRunTimeHolds) {
    watcher("web", 2);
    watcher("off", 1);
    boot_running();
    config::WatcherConfig added;
    added.name = "Added";
    added.cmd = "/bin/other";
    added.env = {{"A", "b"}};
    added.hooks[model::HookPoint::AfterSpawn] = {"", "", "true", 3, true};
    arbiter->start(**arbiter->add(added), {});
    arbiter->set_numprocesses(at("web"), 4, {});
    EXPECT_TRUE(arbiter->set_options(at("web"), {{"graceful_timeout", 2.5}}, {}));
    arbiter->stop(at("off"), {});
    arbiter->settle();
    obey();
    spawn_all();
    take_over();
    EXPECT_EQ(at("added").config(), added);
    EXPECT_EQ(at("web").numprocesses(), 4);
    EXPECT_EQ(at("web").config().graceful_timeout, 2.5);
    EXPECT_EQ(wids("web").size(), 4U);
    EXPECT_FALSE(at("off").is_up());
    EXPECT_EQ(arbiter->watchers().size(), 3U);
}

TEST_F(Takeover, AWishIsSavedBeforeAnythingIsDoneAboutIt) {
    watcher("web", 1);
    boot_running();
    arbiter->set_numprocesses(at("web"), 30, {});
    arbiter->settle();
    // Nothing of it has reached the keeper.
    for (const ChildId id : keeper.asked) keeper.requests.erase(id);
    take_over();
    EXPECT_EQ(keeper.asked.size(), 29U);
}

TEST_F(Takeover, AStopUnderWayIsNotBegunAnew) {
    watcher("web", 2).graceful_timeout = 5;
    boot_running();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    take_over({child("web", 1), child("web", 2)});
    EXPECT_EQ(at("web").status(), model::WatcherStatus::Stopping);
    EXPECT_TRUE(keeper.sent.empty()) << "they have had their signal";
    pass(std::chrono::seconds(6));
    EXPECT_EQ(keeper.sent.size(), 2U) << "and get SIGKILL when their time is over";
    obey();
    EXPECT_EQ(at("web").status(), model::WatcherStatus::Stopped);
}

TEST_F(Takeover, AStopThatHadNotReachedTheProcessesDoesNow) {
    watcher("web", 2);
    boot_running();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    take_over();
    EXPECT_EQ(keeper.sent.size(), 2U);
    obey();
    EXPECT_EQ(at("web").status(), model::WatcherStatus::Stopped);
}

TEST_F(Takeover, AReloadUnderWayReplacesTheOldOnes) {
    watcher("web", 2);
    boot_running();
    arbiter->reload(at("web"), ReloadKind::Graceful, {});
    arbiter->settle();
    for (const ChildId id : keeper.asked) keeper.requests.erase(id);
    const std::set<ChildId> old{child("web", 1), child("web", 2)};
    take_over();
    EXPECT_EQ(keeper.asked.size(), 2U) << "new ones first";
    spawn_all();
    obey();
    EXPECT_EQ(wids("web"), (std::vector<int>{1, 2}));
    for (const ChildId id : old) EXPECT_FALSE(pids.contains(id));
}

TEST_F(Takeover, ARestartUnderWayStartsAgainWhenAllAreGone) {
    watcher("web", 2);
    boot_running();
    arbiter->restart(at("web"), {});
    arbiter->settle();
    take_over({child("web", 1), child("web", 2)});
    EXPECT_TRUE(keeper.asked.empty());
    for (const auto& [id, pid] : std::map(pids)) die(id, 15);
    EXPECT_EQ(keeper.asked.size(), 2U);
}

TEST_F(Takeover, BackOffGoesOn) {
    watcher("web", 1);
    boot_running();
    die(child("web", 1), 0);
    pass(std::chrono::milliseconds(20));
    spawn_all();
    die(child("web", 1), 0);
    take_over();
    EXPECT_TRUE(keeper.asked.empty()) << "not yet";
    pass(std::chrono::milliseconds(100));
    EXPECT_EQ(keeper.asked.size(), 1U);
}

TEST_F(Takeover, StartsThatWaitForTheirTurnComeAtTheirTime) {
    config.circus.warmup_delay = 2;
    watcher("first", 1).priority = 1;
    watcher("second", 1);
    boot_running();
    take_over();
    EXPECT_FALSE(at("second").is_up());
    pass(std::chrono::seconds(3));
    EXPECT_TRUE(at("second").is_up());
}

TEST_F(Takeover, ARemovedWatcherIsStoppedToItsEnd) {
    watcher("web", 1);
    boot_running();
    const ChildId id = child("web", 1);
    arbiter->remove(at("web"), false, {});
    arbiter->settle();
    take_over({id});
    EXPECT_EQ(arbiter->find("web"), nullptr);
    die(id, 15);
    EXPECT_TRUE(keeper.asked.empty());
}

TEST_F(Takeover, WhoIsNobodysIsKilled) {
    watcher("web", 1);
    boot_running();
    keeper.requests[99].note.owner = 12345;
    pids[99] = 4321;
    take_over();
    ASSERT_EQ(keeper.sent.size(), 1U);
    EXPECT_EQ(keeper.sent[0].id, 99U);
    EXPECT_EQ(keeper.sent[0].signo, SIGKILL);
}

TEST_F(Takeover, QuittingGoesOn) {
    watcher("web", 1);
    boot_running();
    arbiter->quit({});
    arbiter->settle();
    take_over();
    EXPECT_TRUE(arbiter->is_stopping());
    obey();
    EXPECT_TRUE(arbiter->is_stopped());
}

// ---- a replacement that no reload has asked for ----

struct Replacement : testing::Test, FakeStack {
    // One process, ready when it says so.
    void begin(const std::function<void(config::WatcherConfig&)>& set) {
        config::WatcherConfig& web = watcher("web", 1);
        web.ready = {config::ReadyConfig::Kind::Notify, {}};
        web.ready_timeout = 30;
        set(web);
        boot_running();
        old = child("web", 1);
        say_ready(old);
    }
    void say_ready(ChildId id) {
        arbiter->on_notified({pids.at(id)});
        arbiter->settle();
    }
    // The replacement is there, and not ready yet.
    void replace() {
        ASSERT_EQ(keeper.asked.size(), 1U);
        fresh = keeper.asked[0];
        spawn_all();
        ASSERT_EQ(wids("web"), (std::vector<int>{1, 1}));
    }
    void check_goes_on() {
        EXPECT_TRUE(keeper.asked.empty());
        EXPECT_TRUE(keeper.sent.empty()) << "the new one is not ready";
        say_ready(fresh);
        ASSERT_EQ(keeper.sent.size(), 1U);
        EXPECT_EQ(keeper.sent[0].id, old);
        obey();
        EXPECT_EQ(wids("web"), std::vector<int>{1});
        EXPECT_TRUE(pids.contains(fresh));
    }
    ChildId old = 0, fresh = 0;
};

TEST_F(Replacement, OfAnAgedOneGoesOn) {
    begin([](config::WatcherConfig& web) { web.max_age = 100; });
    pass(std::chrono::seconds(150));
    replace();
    take_over();
    check_goes_on();
}

TEST_F(Replacement, OfOneThatUsesTooMuchMemoryGoesOn) {
    begin([](config::WatcherConfig& web) { web.memory_soft = {{}, 1000}; });
    at("web").on_memory({{old, 2000}});
    pass(std::chrono::seconds(6));
    replace();
    take_over();
    check_goes_on();
}

TEST_F(Replacement, OfWhichNothingWasSavedGoesOnAsWell) {
    begin([](config::WatcherConfig& web) { web.max_age = 100; });
    const std::string before = keeper.saved;
    pass(std::chrono::seconds(150));
    replace();
    keeper.saved = before;
    take_over();
    check_goes_on();
}

TEST_F(Replacement, ThatWasNotBegunYetIsBegun) {
    begin([](config::WatcherConfig& web) { web.memory_soft = {{}, 1000}; });
    at("web").on_memory({{old, 2000}});
    pass(std::chrono::seconds(6));
    // Nothing of it has reached the keeper.
    for (const ChildId id : keeper.asked) keeper.requests.erase(id);
    take_over();
    replace();
    check_goes_on();
}

TEST_F(Replacement, ThatHasFailedInAReloadGoesAndNotTheOldOne) {
    begin([](config::WatcherConfig& web) {
        web.numprocesses = 2;
        web.max_retry = 1;
        web.ready = {};
    });
    const std::set<ChildId> before{child("web", 1), child("web", 2)};
    arbiter->reload(at("web"), ReloadKind::Graceful, {});
    arbiter->settle();
    ASSERT_EQ(keeper.asked.size(), 2U);
    // One cannot be started; of the other nothing is known yet when the reload is given up.
    const ChildId failed = keeper.asked[0];
    fresh = keeper.asked[1];
    arbiter->on_spawn_failed(failed, keeper::SpawnStage::Exec, ENOENT, 0);
    arbiter->settle();
    keeper.requests.erase(failed);
    pids[fresh] = next_pid++;
    take_over();
    ASSERT_EQ(keeper.sent.size(), 1U);
    EXPECT_EQ(keeper.sent[0].id, fresh);
    obey();
    EXPECT_TRUE(keeper.asked.empty());
    for (const ChildId id : before) EXPECT_TRUE(pids.contains(id));
}

TEST_F(Takeover, AKillWithAGraceOfItsOwnKeepsIt) {
    watcher("web", 2).graceful_timeout = 5;
    boot_running();
    const ChildId one = child("web", 1), two = child("web", 2);
    arbiter->kill(at("web"), {pids.at(one), std::nullopt, 60.0}, {});
    arbiter->kill(at("web"), {pids.at(two), std::nullopt, 1.0}, {});
    arbiter->settle();
    pass(std::chrono::milliseconds(500));
    take_over({one, two});
    EXPECT_TRUE(keeper.sent.empty());
    pass(std::chrono::milliseconds(700));
    ASSERT_EQ(keeper.sent.size(), 1U);
    EXPECT_EQ(keeper.sent[0].id, two);
    pass(std::chrono::seconds(30));
    EXPECT_EQ(keeper.sent.size(), 1U);
    pass(std::chrono::seconds(30));
    EXPECT_EQ(keeper.sent.size(), 2U);
}

TEST_F(Takeover, APlainDeathSavesNothing) {
    watcher("web", 2);
    boot_running();
    clock.advance(std::chrono::seconds(5));
    const int before = keeper.saves;
    die(child("web", 1), 9);
    spawn_all();
    EXPECT_EQ(keeper.saves, before);
}

TEST_F(Takeover, ATornStateIsAnErrorAndNoCrash) {
    watcher("web", 1);
    boot_running();
    for (std::size_t size = 1; size < keeper.saved.size(); size += 7) {
        auto other = make_arbiter({});
        Inheritance inheritance;
        inheritance.state = keeper.saved.substr(0, size);
        [[maybe_unused]] const Status restored = other->restore(std::move(inheritance));
    }
}

}  // namespace
}  // namespace circus::supervise
