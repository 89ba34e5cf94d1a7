// `ready`: a process counts when it is ready, and what follows when it never is.
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
using testing::Not;
using testing::SizeIs;
using Texts = std::vector<std::string>;
using Kind = config::ReadyConfig::Kind;

constexpr int kExit0 = 0;
constexpr int kExit1 = 1 << 8;

struct WatcherReadyTest : testing::Test, FakeStack {
    std::optional<Result<OpResult>> answer;
    Done keep() {
        return [this](Result<OpResult> result) { answer = std::move(result); };
    }
    config::WatcherConfig& ready_watcher(const std::string& name, int numprocesses = 1,
                                         config::ReadyConfig ready = {Kind::Notify, {}}) {
        config::WatcherConfig& w = watcher(name, numprocesses);
        w.ready = std::move(ready);
        w.ready_timeout = 30;
        return w;
    }
    void say_ready(const std::string& name, int wid) { say_ready(pids.at(newest(name, wid))); }
    void say_ready(pid_t pid) {
        arbiter->on_notified({99999, pid, 1});
        arbiter->settle();
    }
    ChildId newest(const std::string& name, int wid) {
        ChildId last = 0;
        for (const Process* process : at(name).active())
            if (process->wid == wid) last = std::max(last, process->id);
        return last;
    }
    // Boots, and every process says that it is ready.
    void boot_ready(const std::string& name) {
        boot_running();
        for (const Process* process : at(name).active()) arbiter->on_notified({process->pid});
        arbiter->settle();
        events.take();
    }
    void reload(const std::string& name, ReloadKind kind = ReloadKind::AsConfigured) {
        arbiter->reload(at(name), kind, keep());
        arbiter->settle();
        if (kind != ReloadKind::Sequential) spawn_all();
    }
};

TEST_F(WatcherReadyTest, AWatcherIsActiveWhenEachProcessHasSaidThatItIsReady) {
    ready_watcher("web", 2);
    boot_running();
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting);
    EXPECT_EQ(at("web").ready_count(), 0U);
    say_ready("web", 1);
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting);
    EXPECT_EQ(at("web").ready_count(), 1U);
    say_ready("web", 2);
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    EXPECT_EQ(events.take(), (Texts{"ready", "ready", "start"}));
}

TEST_F(WatcherReadyTest, TheSocketToSaySoIsInTheEnvironmentOfThoseWhoAreAsked) {
    ready_watcher("web");
    watcher("plain");
    boot();
    EXPECT_THAT(keeper.requests.at(1).envp, Contains("NOTIFY_SOCKET=@notify"));
    EXPECT_THAT(keeper.requests.at(2).envp, Not(Contains(testing::StartsWith("NOTIFY_SOCKET="))));
}

TEST_F(WatcherReadyTest, AStrangerOrAnotherWatchersProcessSpeaksForNobody) {
    ready_watcher("web");
    watcher("plain");
    boot_running();
    arbiter->on_notified({4711, 1});
    arbiter->on_notified({pids.at(child("plain", 1)), 1});
    arbiter->settle();
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting);
}

TEST_F(WatcherReadyTest, OneThatIsNotReadyInTimeIsStoppedAndReplacedAfterAPause) {
    ready_watcher("web").ready_timeout = 3;
    boot_running();
    arbiter->start(at("web"), keep());
    pass(3s);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("was not ready within 3 s"));
    EXPECT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(events.take(), (Texts{"not_ready", "kill"}));
    obey();
    EXPECT_THAT(keeper.asked, IsEmpty()) << "the pause";
    pass(1s);
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(WatcherReadyTest, OneThatEndsBeforeItIsReadyIsReplacedAfterAPauseHoweverLongItLived) {
    ready_watcher("web");
    boot_running();
    clock.advance(20s);
    die(child("web", 1), kExit1);
    EXPECT_THAT(events.take(), ElementsAre("reap", "not_ready"));
    EXPECT_THAT(keeper.asked, IsEmpty());
    pass(1s);
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(WatcherReadyTest, AReloadStopsTheOldOnesWhenTheNewOnesAreReady) {
    ready_watcher("web", 2);
    boot_ready("web");
    reload("web");
    EXPECT_THAT(keeper.sent, IsEmpty());
    say_ready("web", 1);
    EXPECT_THAT(keeper.sent, IsEmpty());
    say_ready("web", 2);
    EXPECT_THAT(keeper.sent, SizeIs(2));
    obey();
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->stopped, ElementsAre(1001, 1002));
    EXPECT_THAT((*answer)->started, ElementsAre(1003, 1004));
}

TEST_F(WatcherReadyTest, AReloadWhoseNewProcessIsNotReadyInTimeKeepsTheOldOnesAndSaysSo) {
    ready_watcher("web", 2);
    boot_ready("web");
    reload("web");
    say_ready("web", 1);
    pass(30s);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(
        answer->error().text,
        HasSubstr("reload given up, the old processes stay: process 1004 (wid 2) was not ready within 30 s"));
    obey();
    EXPECT_THAT(at("web").active(), SizeIs(2));
    for (const Process* process : at("web").active()) EXPECT_LE(process->pid, 1002);
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(WatcherReadyTest, AReloadWhoseNewProcessDiesBeforeItIsReadyKeepsTheOldOnesAndSaysSo) {
    ready_watcher("web", 2);
    boot_ready("web");
    reload("web");
    die(newest("web", 1), kExit1);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("exited with 1 before it was ready"));
    obey();
    EXPECT_THAT(at("web").active(), SizeIs(2));
    for (const Process* process : at("web").active()) EXPECT_LE(process->pid, 1002);
    pass(60s);
    EXPECT_THAT(keeper.asked, IsEmpty()) << "nothing is tried again";
}

TEST_F(WatcherReadyTest, ASequentialReloadWaitsForEachAndStopsWhereOneIsNotReady) {
    ready_watcher("web", 3);
    boot_ready("web");
    reload("web", ReloadKind::Sequential);
    obey();
    spawn_all();
    EXPECT_THAT(keeper.sent, IsEmpty());
    say_ready(1004);
    EXPECT_THAT(keeper.sent, SizeIs(1));
    obey();
    spawn_all();
    die(newest("web", at("web").find_pid(1005)->wid), kExit1);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(1s);
    spawn_all();
    EXPECT_THAT(at("web").active(), SizeIs(3));
    EXPECT_NE(at("web").find_pid(1003), nullptr) << "the last of the old ones stays";
}

TEST_F(WatcherReadyTest, AStopWhileItIsAwaitedIsNoFailure) {
    ready_watcher("web");
    boot_running();
    arbiter->stop(at("web"), keep());
    arbiter->settle();
    obey();
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT(events.take(), Not(Contains("not_ready")));
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
}

TEST_F(WatcherReadyTest, AChangedReadyIsForProcessesSpawnedFromThenOn) {
    ready_watcher("web");
    boot_running();
    ASSERT_TRUE(arbiter->set_options(at("web"), {{"ready", "spawned"}}, {}));
    arbiter->settle();
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting);
    arbiter->on_notified({pids.at(child("web", 1))});
    arbiter->settle();
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting) << "nobody of it is asked any more";
}

// ---- exec ----

struct ExecReadyTest : WatcherReadyTest {
    // What the keeper was asked to run that is no worker.
    ChildId check() {
        EXPECT_THAT(keeper.asked, SizeIs(1));
        const ChildId id = keeper.asked.front();
        keeper.asked.clear();
        arbiter->on_spawned(id, next_pid++, UniqueFd());
        arbiter->settle();
        return id;
    }
    // Boots one worker, of which each is asked for by itself.
    void boot_one() {
        ready_watcher("web", 1, {Kind::Exec, "/bin/check --pid $(circus.pid) --wid $(circus.wid)"});
        boot();
        worker();
    }
    void worker() {
        const ChildId id = keeper.asked.front();
        keeper.asked.clear();
        pids[id] = next_pid++;
        arbiter->on_spawned(id, pids[id], UniqueFd());
        arbiter->settle();
    }
};

TEST_F(ExecReadyTest, TheCommandIsRunAgainUntilItExitsWithZero) {
    boot_one();
    const ChildId first = check();
    EXPECT_THAT(keeper.requests.at(first).argv, ElementsAre("/bin/check", "--pid", "1001", "--wid", "1"));
    EXPECT_THAT(keeper.requests.at(first).envp, Contains("CIRCUS_PID=1001"));
    die(first, kExit1);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting);
    pass(50ms);
    die(check(), kExit0);
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    pass(60s);
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(ExecReadyTest, TheErrorSaysWhatTheLastCheckSaid) {
    boot_one();
    arbiter->start(at("web"), keep());
    die(check(), 7 << 8);
    clock.advance(30s);
    arbiter->on_time();
    arbiter->settle();
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("was not ready within 30 s: its check exited with 7"));
}

TEST_F(ExecReadyTest, ACheckThatHangsIsKilledWithWhatItWasAsking) {
    boot_one();
    const ChildId hangs = check();
    arbiter->stop(at("web"), keep());
    arbiter->settle();
    EXPECT_TRUE(std::any_of(keeper.sent.begin(), keeper.sent.end(), [hangs](const auto& sent) {
        return sent.id == hangs && sent.signo == SIGKILL && sent.scope == keeper::Scope::Tree;
    }));
    die(child("web", 1), kExit0);
    EXPECT_FALSE(answer) << "the check is not gone yet";
    die(hangs, SIGKILL);
    EXPECT_TRUE(answer && *answer);
}

TEST_F(ExecReadyTest, ACheckThatCannotBeRunIsTriedAgain) {
    boot_one();
    const ChildId id = keeper.asked.front();
    keeper.asked.clear();
    arbiter->on_spawn_failed(id, keeper::SpawnStage::Exec, ENOENT, 0);
    arbiter->settle();
    pass(50ms);
    die(check(), kExit0);
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(ExecReadyTest, NoMoreThanSixteenChecksRunAtATime) {
    ready_watcher("web", 20, {Kind::Exec, "/bin/check"});
    boot();
    for (const ChildId id : std::exchange(keeper.asked, {})) arbiter->on_spawned(id, next_pid++, UniqueFd());
    arbiter->settle();
    EXPECT_THAT(keeper.asked, SizeIs(16));
    const ChildId first = keeper.asked.front();
    arbiter->on_spawned(first, next_pid++, UniqueFd());
    die(first, kExit0);
    EXPECT_EQ(at("web").ready_count(), 1U);
    EXPECT_THAT(keeper.asked, SizeIs(17)) << "the next one's turn";
}

// ---- over a takeover ----

TEST_F(WatcherReadyTest, WhoWasNotReadyIsWaitedForByTheNextArbiter) {
    ready_watcher("web", 2);
    boot_running();
    say_ready("web", 1);
    take_over();
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting);
    EXPECT_EQ(at("web").ready_count(), 1U);
    say_ready("web", 2);
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    EXPECT_THAT(events.take(), Contains("ready"));
    take_over();
    EXPECT_EQ(at("web").ready_count(), 2U);
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(WatcherReadyTest, ItsTimeGoesOnOverATakeover) {
    ready_watcher("web").ready_timeout = 10;
    boot_running();
    pass(8s);
    take_over();
    pass(1s);
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(1s);
    EXPECT_THAT(keeper.sent, SizeIs(1));
    EXPECT_THAT(events.take(), Contains("not_ready"));
}

TEST_F(WatcherReadyTest, ItsLineIsLookedForAndItsAddressAndItsCommandAgain) {
    ready_watcher("log", 1, {Kind::Log, "accepting"}).stdout_stream.emplace();
    ready_watcher("tcp", 1, {Kind::Tcp, "localhost:1"});
    ready_watcher("exec", 1, {Kind::Exec, "/bin/true"});
    boot();
    spawn_all();
    probes.looks.clear();
    streams.watched.clear();
    for (const auto& [id, request] : keeper.requests)  // as the real ones would be held
        for (const PipeId pipe : request.note.pipes)
            if (pipe != 0) streams.kinds[pipe] = StreamKind::Stdout;
    take_over();
    EXPECT_THAT(probes.looks, SizeIs(1));
    EXPECT_THAT(keeper.asked, SizeIs(1)) << "the command";
    ASSERT_THAT(streams.watched, SizeIs(1));
    EXPECT_EQ(at("log").status(), WatcherStatus::Starting);
    streams.watched.begin()->second();
    arbiter->settle();
    EXPECT_EQ(at("log").status(), WatcherStatus::Active);
}

TEST_F(WatcherReadyTest, AReloadStopsNoOldOneForANewOneThatIsNotReadyYetOverATakeover) {
    ready_watcher("web");
    boot_ready("web");
    reload("web");
    take_over();
    EXPECT_THAT(keeper.sent, IsEmpty());
    say_ready("web", 1);
    EXPECT_THAT(keeper.sent, SizeIs(1));
}

// ---- max_retry ----

TEST_F(WatcherReadyTest, WhatIsNeverReadyIsAFailedStartAndMaxRetryOfThemStopTheWatcher) {
    auto& web = ready_watcher("web");
    web.ready_timeout = 3;
    web.max_retry = 3;
    boot_running();
    for (int tries = 1; tries <= 3; ++tries) {
        EXPECT_TRUE(at("web").is_up()) << tries;
        pass(3s);
        obey();
        pass(5s);
        spawn_all();
    }
    EXPECT_FALSE(at("web").is_up());
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(WatcherReadyTest, NobodyWhoIsReadyEndsForOneThatNeverIs) {
    ready_watcher("web", 2).max_retry = 2;
    boot_running();
    say_ready("web", 1);
    const pid_t serving = pids.at(newest("web", 1));
    for (int tries = 1; tries <= 5; ++tries) {
        die(child("web", 2), kExit1);
        pass(5s);
        spawn_all();
    }
    EXPECT_TRUE(at("web").is_up());
    EXPECT_EQ(pids.at(newest("web", 1)), serving);
    EXPECT_THAT(keeper.sent, IsEmpty());
    // When nobody is left it is as ever.
    die(child("web", 1), kExit1);
    pass(5s);
    spawn_all();
    die(child("web", 2), kExit1);
    EXPECT_FALSE(at("web").is_up());
}

TEST_F(WatcherReadyTest, OneThatIsReadyInBetweenBeginsTheCountAnewAndMinusOneIsForEver) {
    auto& web = ready_watcher("web");
    web.max_retry = 2;
    auto& endless = ready_watcher("endless");
    endless.max_retry = -1;
    boot_running();
    const auto end_unready = [this] {
        for (const char* name : {"web", "endless"}) die(child(name, 1), kExit1);
        pass(5s);
        spawn_all();
    };
    end_unready();
    say_ready("web", 1);
    end_unready();
    EXPECT_TRUE(at("web").is_up()) << "that one was ready";
    end_unready();
    EXPECT_TRUE(at("web").is_up()) << "the first in a row";
    end_unready();
    EXPECT_FALSE(at("web").is_up());
    EXPECT_TRUE(at("endless").is_up());
}

}  // namespace
}  // namespace circus::supervise
