// Several watchers: who waits for whom, whose end is everybody's, and whose memory is looked at.
#include <gmock/gmock.h>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using model::WatcherStatus;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = config::ReadyConfig::Kind;
using Until = config::Dependency::Until;

constexpr int kExit0 = 0;
constexpr int kExit3 = 3 << 8;

struct OrderTest : testing::Test, FakeStack {
    std::optional<Result<OpResult>> answer;
    Done keep() {
        return [this](Result<OpResult> result) { answer = std::move(result); };
    }
    config::WatcherConfig& dependent(const std::string& name, const std::string& on,
                                     Until until = Until::Ready) {
        config::WatcherConfig& w = watcher(name);
        w.depends_on.push_back({on, until});
        return w;
    }
    // The keeper answers what it was asked for now, and no more.
    void spawn_asked() {
        for (const ChildId id : std::exchange(keeper.asked, {})) {
            pids[id] = next_pid++;
            arbiter->on_spawned(id, pids[id], UniqueFd());
        }
        arbiter->settle();
    }
    WatcherStatus status(const std::string& name) { return at(name).status(); }
};

TEST_F(OrderTest, AWatcherStartsWhenWhatItDependsOnRuns) {
    dependent("web", "db").priority = 50;
    watcher("db");
    boot();
    EXPECT_THAT(keeper.asked, SizeIs(1));
    EXPECT_EQ(status("web"), WatcherStatus::Starting);
    spawn_asked();
    EXPECT_EQ(status("db"), WatcherStatus::Active);
    EXPECT_THAT(keeper.asked, SizeIs(1));
    spawn_asked();
    EXPECT_EQ(status("web"), WatcherStatus::Active);
}

TEST_F(OrderTest, ReadyIsWaitedForAndStartedIsNot) {
    watcher("db").ready = {Kind::Notify, {}};
    dependent("early", "db", Until::Started);
    dependent("late", "db");
    boot();
    spawn_asked();
    spawn_asked();
    EXPECT_EQ(status("early"), WatcherStatus::Active);
    EXPECT_EQ(status("late"), WatcherStatus::Starting);
    arbiter->on_notified({pids.at(child("db", 1))});
    arbiter->settle();
    spawn_asked();
    EXPECT_EQ(status("late"), WatcherStatus::Active);
}

TEST_F(OrderTest, CompletedIsAnEndWithZero) {
    watcher("migrate").respawn = false;
    dependent("web", "migrate", Until::Completed);
    boot();
    spawn_asked();
    EXPECT_THAT(keeper.asked, IsEmpty());
    die(child("migrate", 1), kExit0);
    spawn_asked();
    EXPECT_EQ(status("web"), WatcherStatus::Active);
    EXPECT_EQ(status("migrate"), WatcherStatus::Stopped);
    arbiter->stop(at("web"), {});
    arbiter->settle();
    obey();
    arbiter->start(at("web"), {});
    arbiter->settle();
    EXPECT_EQ(status("migrate"), WatcherStatus::Stopped) << "it has done what it is needed for";
    spawn_asked();
    EXPECT_EQ(status("web"), WatcherStatus::Active);
}

TEST_F(OrderTest, WhatCannotBeHadIsAnErrorOfTheStart) {
    watcher("migrate").respawn = false;
    dependent("web", "migrate", Until::Completed).autostart = false;
    boot();
    arbiter->start(at("web"), keep());
    arbiter->settle();
    spawn_asked();
    EXPECT_FALSE(answer);
    die(child("migrate", 1), kExit3);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("not started: migrate did not complete"));
    EXPECT_EQ(status("web"), WatcherStatus::Stopped);
}

TEST_F(OrderTest, AStartOfOneStartsWhatItDependsOn) {
    watcher("db").autostart = false;
    dependent("cache", "db").autostart = false;
    dependent("web", "cache").autostart = false;
    boot();
    EXPECT_THAT(keeper.asked, IsEmpty());
    arbiter->start(at("web"), keep());
    arbiter->settle();
    for (int i = 0; i < 3; ++i) {
        EXPECT_THAT(keeper.asked, SizeIs(1));
        spawn_asked();
    }
    EXPECT_TRUE(answer && *answer);
}

TEST_F(OrderTest, AStopWhileItWaitsIsAtOnce) {
    watcher("db").ready = {Kind::Notify, {}};
    dependent("web", "db");
    boot();
    spawn_asked();
    arbiter->stop(at("web"), keep());
    arbiter->settle();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(status("web"), WatcherStatus::Stopped);
}

TEST_F(OrderTest, WhenTheDependencyIsStoppedWhoWaitsGivesUpAndWhoRunsGoesOn) {
    watcher("db").ready = {Kind::Notify, {}};
    dependent("early", "db", Until::Started);
    dependent("late", "db");
    boot();
    spawn_asked();
    spawn_asked();
    arbiter->start(at("late"), keep());
    arbiter->stop(at("db"), {});
    arbiter->settle();
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("db is stopped"));
    EXPECT_EQ(status("early"), WatcherStatus::Active);
}

TEST_F(OrderTest, AllAreStoppedInReverseEachAfterWhoDependsOnIt) {
    watcher("db");
    dependent("web", "db");
    boot_running();
    arbiter->stop_all(arbiter->watchers(), keep());
    arbiter->settle();
    ASSERT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(keeper.sent[0].id, child("web", 1));
    obey();
    ASSERT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(keeper.sent[0].id, child("db", 1));
    obey();
    EXPECT_TRUE(answer && *answer);
}

TEST_F(OrderTest, ARestartOfOneWaitsForNobody) {
    watcher("db");
    dependent("web", "db");
    boot_running();
    arbiter->stop(at("db"), {});
    arbiter->settle();
    obey();
    arbiter->restart(at("web"), keep());
    arbiter->settle();
    obey();
    spawn_asked();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(status("db"), WatcherStatus::Stopped);
}

TEST_F(OrderTest, AWaitingOneThatIsRemovedIsForgotten) {
    watcher("db").ready = {Kind::Notify, {}};
    dependent("web", "db");
    boot();
    spawn_asked();
    arbiter->remove(at("web"), false, {});
    arbiter->settle();
    arbiter->on_notified({pids.at(child("db", 1))});
    arbiter->settle();
    EXPECT_EQ(arbiter->find("web"), nullptr);
}

TEST_F(OrderTest, OverTheWireACycleOrAnUnknownNameIsRefused) {
    watcher("db");
    dependent("web", "db");
    boot_running();
    const auto cycle = arbiter->set_options(at("db"), {{"depends_on", Json::array({"web"})}}, {});
    ASSERT_FALSE(cycle);
    EXPECT_THAT(cycle.error().text, HasSubstr("web → db → web"));
    const auto unknown = arbiter->set_options(at("db"), {{"depends_on", Json::array({"dbx"})}}, {});
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error().text, HasSubstr("there is no watcher dbx"));
}

// ---- critical ----

TEST_F(OrderTest, TheEndOfACriticalWatcherIsTheEndOfAllWithItsCode) {
    struct Row {
        int status, code;
    };
    for (const Row& row : {Row{kExit0, 0}, Row{kExit3, 3}, Row{SIGKILL, 137}}) {
        FakeStack stack;
        config::WatcherConfig& job = stack.watcher("job");
        job.critical = true;
        job.respawn = false;
        stack.watcher("web");
        stack.boot_running();
        stack.die(stack.child("job", 1), row.status);
        EXPECT_TRUE(stack.arbiter->is_stopping());
        EXPECT_EQ(stack.arbiter->exit_code(), row.code);
        stack.obey();
        EXPECT_TRUE(stack.arbiter->is_stopped());
    }
}

TEST_F(OrderTest, AStopOrAReplacementOfACriticalWatcherIsNoEnd) {
    watcher("web").critical = true;
    boot_running();
    die(child("web", 1), kExit3);
    pass(1s);
    spawn_all();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    obey();
    EXPECT_FALSE(arbiter->is_stopping());
}

TEST_F(OrderTest, ACriticalWatcherThatCannotBeStartedEndsAllWithOne) {
    config::WatcherConfig& web = watcher("web");
    web.critical = true;
    web.max_retry = 1;
    boot();
    fail_all(ENOENT);
    EXPECT_TRUE(arbiter->is_stopping());
    EXPECT_EQ(arbiter->exit_code(), 1);
}

// ---- memory ----

struct MemoryTest : OrderTest {
    // What a round of looks found, by wid.
    void found(const std::string& name, const std::map<int, std::uint64_t>& by_wid) {
        std::map<ChildId, std::uint64_t> uses;
        for (const auto& [wid, bytes] : by_wid) uses[child(name, wid)] = bytes;
        at(name).on_memory(uses);
        at(name).look();
        arbiter->on_time();
        pass(5s);  // the safety pass looks at all
    }
};

TEST_F(MemoryTest, NobodyIsLookedAtWhereNobodyHasALimit) {
    watcher("web");
    boot_running();
    pass(10s);
    EXPECT_THAT(worker.jobs, IsEmpty());
}

TEST_F(MemoryTest, RoundsComeAsLongAsThereIsSomebodyToLookAtAndDoNotPileUp) {
    watcher("web").memory_max = {{}, 1000};
    boot_running();
    pass(2s);
    EXPECT_THAT(worker.jobs, SizeIs(1));
    pass(2s);
    EXPECT_THAT(worker.jobs, SizeIs(1)) << "the first one is not done";
    worker.jobs.front().second();
    arbiter->settle();
    pass(2s);
    EXPECT_THAT(worker.jobs, SizeIs(2));
}

TEST_F(MemoryTest, OverSoftANewOneComesFirstAndThenTheOldOneGoes) {
    watcher("web", 2).memory_soft = {{}, 1000};
    boot_running();
    found("web", {{1, 900}, {2, 1100}});
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_THAT(keeper.asked, SizeIs(1));
    spawn_all();
    ASSERT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(keeper.sent[0].signo, SIGTERM);
    obey();
    EXPECT_THAT(events.log, Contains("memory"));
    EXPECT_THAT(at("web").trouble_of(2), HasSubstr("more than memory_soft"));
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
}

TEST_F(MemoryTest, OverMaxItsTreeIsKilledAndItIsReplaced) {
    watcher("web").memory_max = {{}, 1000};
    boot_running();
    found("web", {{1, 1001}});
    ASSERT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(keeper.sent[0].signo, SIGKILL);
    EXPECT_EQ(keeper.sent[0].scope, keeper::Scope::Tree);
    obey();
    spawn_all();
    EXPECT_THAT(wids("web"), ElementsAre(1));
    EXPECT_THAT(at("web").trouble_of(1), HasSubstr("more than memory_max"));
    bool said = false;
    for (const auto& [event, payload] : events.payloads)
        said = said || (event == "web.reap" && payload.find("memory_max") != std::string::npos);
    EXPECT_TRUE(said) << "the reap has the reason";
}

}  // namespace
}  // namespace circus::supervise
