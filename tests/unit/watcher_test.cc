// One watcher's life: starts, deaths, stops, reloads, counts, with a keeper and a clock turned by hand.
#include <gmock/gmock.h>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using model::WatcherStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Texts = std::vector<std::string>;

constexpr int kExit0 = 0;

struct WatcherTest : testing::Test, FakeStack {
    std::optional<Result<OpResult>> answer;
    Done keep() {
        return [this](Result<OpResult> result) { answer = std::move(result); };
    }
};

TEST_F(WatcherTest, StartSpawnsEverySlotAndIsActiveWhenAllRan) {
    watcher("web", 3);
    boot();
    EXPECT_EQ(at("web").status(), WatcherStatus::Starting);
    EXPECT_THAT(keeper.asked, SizeIs(3));
    spawn_all();
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    EXPECT_EQ(events.take(), (Texts{"spawn", "spawn", "spawn", "start"}));
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3));
}

TEST_F(WatcherTest, AutostartFalseStaysStoppedUntilStarted) {
    watcher("web").autostart = false;
    boot();
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    arbiter->start(at("web"), keep());
    arbiter->settle();
    EXPECT_FALSE(answer);
    spawn_all();
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->started, ElementsAre(1001));
    EXPECT_THAT((*answer)->kept, IsEmpty());
}

TEST_F(WatcherTest, StartOfARunningOneKeepsWhatRuns) {
    watcher("web", 2);
    boot_running();
    arbiter->start(at("web"), keep());
    arbiter->settle();
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->kept, ElementsAre(1001, 1002));
    EXPECT_THAT(events.take(), IsEmpty());
}

TEST_F(WatcherTest, AnOldProcessThatDiesIsReplacedAtOnceOnItsWid) {
    watcher("web", 3);
    boot_running();
    clock.advance(2s);
    die(child("web", 2), SIGKILL);
    spawn_all();
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3));
    EXPECT_EQ(events.take(), (Texts{"reap", "spawn"}));
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(WatcherTest, AYoungProcessThatDiesWaitsForItsBackOff) {
    watcher("web");
    boot_running();
    die(child("web", 1), kExit0);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(arbiter->next_alarm(), clock.now() + 10ms);
    pass(10ms);
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(WatcherTest, ReapTellsTheExitCodeOrMinusTheSignal) {
    watcher("web", 2);
    boot_running();
    die(child("web", 1), 3 << 8);
    die(child("web", 2), SIGSEGV);
    std::vector<int> codes;
    for (const auto& [topic, payload] : events.payloads)
        if (topic == "web.reap") codes.push_back(Json::parse(payload)["exit_code"].get<int>());
    EXPECT_THAT(codes, ElementsAre(3, -SIGSEGV));
}

TEST_F(WatcherTest, SpawnAndReapTellTheSlot) {
    watcher("web", 2);
    boot_running();
    die(child("web", 2), 0);
    std::vector<std::pair<std::string, int>> wids;
    for (const auto& [topic, payload] : events.payloads)
        if (topic != "web.start") wids.emplace_back(topic, Json::parse(payload)["wid"].get<int>());
    EXPECT_THAT(wids,
                ElementsAre(std::pair("web.spawn", 1), std::pair("web.spawn", 2), std::pair("web.reap", 2)));
}

TEST_F(WatcherTest, WhatIsAskedForIsToldAlsoWhereItChangesNothing) {
    watcher("web", 1);
    boot_running();
    events.operations.clear();
    arbiter->reload(at("web"), ReloadKind::Graceful, {});
    arbiter->stop(at("web"), {});
    arbiter->stop(at("web"), {});
    arbiter->start(at("web"), {});
    arbiter->reload(at("web"), ReloadKind::Terminate, {});
    EXPECT_THAT(events.operations,
                ElementsAre("web.reload", "web.stop", "web.stop", "web.start", "web.restart"));
}

TEST_F(WatcherTest, StopSendsTheStopSignalAndIsThroughWhenAllAreReaped) {
    watcher("web", 2).stop_signal = SIGINT;
    boot_running();
    arbiter->stop(at("web"), keep());
    arbiter->settle();
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopping);
    ASSERT_THAT(keeper.sent, SizeIs(2));
    EXPECT_EQ(keeper.sent[0].signo, SIGINT);
    EXPECT_FALSE(answer);
    obey();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"kill", "kill", "reap", "reap", "stop"}));
}

TEST_F(WatcherTest, WhatIgnoresTheStopSignalIsKilledWithItsTreeAfterTheGrace) {
    watcher("web").graceful_timeout = 3;
    boot_running();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    EXPECT_EQ(arbiter->next_alarm(), clock.now() + 3s);
    pass(2900ms);
    EXPECT_THAT(keeper.sent, SizeIs(1));
    pass(100ms);
    ASSERT_THAT(keeper.sent, SizeIs(2));
    EXPECT_EQ(keeper.sent[1].signo, SIGKILL);
    EXPECT_EQ(keeper.sent[1].scope, keeper::Scope::Tree);
    obey();
    EXPECT_EQ(events.take(), (Texts{"kill", "kill", "reap", "stop"}));
}

TEST_F(WatcherTest, AStopWhileTheSpawnIsUnderWayStopsWhatIsSpawned) {
    watcher("web");
    boot();
    arbiter->stop(at("web"), keep());
    arbiter->settle();
    EXPECT_THAT(keeper.sent, IsEmpty());
    spawn_all();
    EXPECT_THAT(keeper.sent, SizeIs(1));
    obey();
    EXPECT_TRUE(answer);
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
}

TEST_F(WatcherTest, AStopOvertakesAStartWhoseWaiterIsTold) {
    watcher("web").autostart = false;
    boot();
    arbiter->start(at("web"), keep());
    arbiter->settle();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    ASSERT_TRUE(answer && !*answer);
    EXPECT_EQ(answer->error().text, "arbiter is already running watcher_stop command");
    EXPECT_EQ(answer->error().code, 5);
}

TEST_F(WatcherTest, AStartDuringAStopRunsWhenTheStopIsThrough) {
    watcher("web");
    boot_running();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    arbiter->start(at("web"), keep());
    arbiter->settle();
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopping);
    EXPECT_THAT(keeper.asked, IsEmpty());
    obey();
    EXPECT_FALSE(answer);
    spawn_all();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(events.take(), (Texts{"kill", "reap", "stop", "spawn", "start"}));
}

TEST_F(WatcherTest, RestartIsKillReapStopSpawnStart) {
    watcher("web", 2);
    boot_running();
    arbiter->restart(at("web"), keep());
    arbiter->settle();
    obey();
    spawn_all();
    EXPECT_EQ(events.take(), (Texts{"kill", "kill", "reap", "reap", "stop", "spawn", "spawn", "start"}));
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->stopped, ElementsAre(1001, 1002));
    EXPECT_THAT((*answer)->started, ElementsAre(1003, 1004));
}

TEST_F(WatcherTest, GracefulReloadStartsAllNewOnesBeforeItStopsTheOld) {
    watcher("web", 2);
    boot_running();
    arbiter->reload(at("web"), ReloadKind::AsConfigured, keep());
    arbiter->settle();
    EXPECT_THAT(keeper.sent, IsEmpty());
    spawn_all();
    EXPECT_THAT(keeper.sent, SizeIs(2));
    obey();
    EXPECT_EQ(events.take(), (Texts{"spawn", "spawn", "kill", "kill", "reap", "reap", "reload"}));
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->started, ElementsAre(1003, 1004));
    EXPECT_THAT((*answer)->stopped, ElementsAre(1001, 1002));
}

TEST_F(WatcherTest, SequentialReloadReplacesOneAtATime) {
    watcher("web", 2);
    boot_running();
    arbiter->reload(at("web"), ReloadKind::Sequential, keep());
    arbiter->settle();
    for (int replaced = 0; replaced < 2; ++replaced) {
        EXPECT_THAT(keeper.sent, SizeIs(1));
        obey();
        spawn_all();
    }
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(events.take(), (Texts{"kill", "reap", "spawn", "kill", "reap", "spawn", "reload"}));
}

TEST_F(WatcherTest, AReloadToABrokenCommandKeepsTheOldProcessesAndSaysSo) {
    watcher("web", 2).max_retry = 2;
    boot_running();
    arbiter->reload(at("web"), ReloadKind::Graceful, keep());
    arbiter->settle();
    fail_all(ENOENT);
    EXPECT_FALSE(answer) << "both have failed once";
    pass(1s);
    fail_all(ENOENT);
    pass(1s);
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
    EXPECT_THAT(keeper.sent, IsEmpty());
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, testing::HasSubstr("No such file or directory"));
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(WatcherTest, AReloadToAProgramThatEndsAtOnceIsOverWhenEachHasRun) {
    watcher("web", 2);
    boot_running();
    arbiter->reload(at("web"), ReloadKind::Graceful, keep());
    arbiter->settle();
    spawn_all();
    const auto newest = at("web").active();
    for (const ChildId id : {newest[2]->id, newest[3]->id}) die(id, kExit0);
    EXPECT_FALSE(answer);
    obey();
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->stopped, ElementsAre(1001, 1002));
}

TEST_F(WatcherTest, SendHupReloadsBySignalAlone) {
    watcher("web", 2).send_hup = true;
    boot_running();
    arbiter->reload(at("web"), ReloadKind::AsConfigured, keep());
    arbiter->settle();
    ASSERT_THAT(keeper.sent, SizeIs(2));
    EXPECT_EQ(keeper.sent[0].signo, SIGHUP);
    EXPECT_FALSE(keeper.sent[0].stopping);
    EXPECT_THAT((*answer)->kept, ElementsAre(1001, 1002));
    EXPECT_EQ(events.take(), (Texts{"reload"}));
}

TEST_F(WatcherTest, CountsGoUpAndDownAndWidsStayDense) {
    watcher("web", 2);
    boot_running();
    arbiter->set_numprocesses(at("web"), 4, keep());
    arbiter->settle();
    spawn_all();
    EXPECT_TRUE(answer && *answer);
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3, 4));
    arbiter->set_numprocesses(at("web"), -1, {});
    arbiter->settle();
    obey();
    EXPECT_THAT(wids("web"), IsEmpty());
    EXPECT_EQ(at("web").numprocesses(), 0);
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(WatcherTest, FewerAndMoreInOneTurnLeavesNobodyWaiting) {
    watcher("web", 3);
    boot_running();
    arbiter->set_numprocesses(at("web"), 1, {});
    arbiter->set_numprocesses(at("web"), 3, keep());
    arbiter->settle();
    EXPECT_TRUE(answer && *answer);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3));
}

TEST_F(WatcherTest, ASingletonStaysOne) {
    watcher("web").singleton = true;
    boot_running();
    arbiter->set_numprocesses(at("web"), 3, {});
    arbiter->settle();
    EXPECT_EQ(at("web").numprocesses(), 1);
}

TEST_F(WatcherTest, KillEndsWhatItNamesWithItsOwnSignalAndGraceAndItIsReplaced) {
    watcher("web", 2);
    boot_running();
    clock.advance(10s);
    KillRequest request;
    request.pid = 1002;
    request.signo = SIGUSR2;
    request.graceful_timeout = 0.5;
    arbiter->kill(at("web"), request, keep());
    arbiter->settle();
    ASSERT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(keeper.sent[0].signo, SIGUSR2);
    pass(500ms);
    EXPECT_EQ(keeper.sent.back().signo, SIGKILL);
    keeper.sent.pop_back();
    obey();
    EXPECT_TRUE(answer);
    spawn_all();
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
}

TEST_F(WatcherTest, KillOfAStrangerPidIsThroughAtOnce) {
    watcher("web");
    boot_running();
    KillRequest request;
    request.pid = 99999;
    arbiter->kill(at("web"), request, keep());
    arbiter->settle();
    EXPECT_TRUE(answer && *answer);
    EXPECT_THAT(keeper.sent, IsEmpty());
}

TEST_F(WatcherTest, AProgramThatCannotStartStopsTheWatcherAfterMaxRetry) {
    watcher("web").max_retry = 3;
    watcher("other").autostart = true;
    boot();
    arbiter->start(at("web"), keep());
    for (int attempt = 0; attempt < 3; ++attempt) {
        EXPECT_FALSE(answer);
        fail_all(ENOENT);
        pass(1s);
    }
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->started, IsEmpty());
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
}

TEST_F(WatcherTest, AShortageOfTheMachineIsNoFailureOfTheProgram) {
    watcher("web").max_retry = 2;
    boot();
    for (const int error : {EAGAIN, EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN}) {
        ASSERT_THAT(keeper.asked, SizeIs(1));
        fail_all(error);
        pass(6s);
    }
    spawn_all();
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(WatcherTest, MaxRetryMinusOneNeverGivesUp) {
    watcher("web").max_retry = -1;
    boot();
    for (int attempt = 0; attempt < 30; ++attempt) {
        ASSERT_THAT(keeper.asked, SizeIs(1));
        fail_all(ENOENT);
        pass(6s);
    }
    spawn_all();
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(WatcherTest, WithoutRespawnTheWatcherIsStoppedWhenAllHaveEnded) {
    watcher("job", 2).respawn = false;
    boot_running();
    die(child("job", 1), kExit0);
    EXPECT_EQ(at("job").status(), WatcherStatus::Active);
    die(child("job", 2), kExit0);
    EXPECT_EQ(at("job").status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"reap", "reap", "stop"}));
    arbiter->start(at("job"), {});
    arbiter->settle();
    EXPECT_THAT(keeper.asked, SizeIs(2));
}

TEST_F(WatcherTest, MaxAgeReplacesWithItsVarianceDrawnOnceForAllArbiters) {
    const auto boot_old = [](FakeStack& stack) {
        config::WatcherConfig& w = stack.watcher("web");
        w.max_age = 100;
        w.max_age_variance = 30;
        stack.boot_running();
    };
    const auto age_of_replacement = [](FakeStack& stack) {
        Milliseconds age{};
        for (; stack.keeper.asked.empty() && age < 200s; age += 100ms) stack.pass(100ms);
        return age;
    };
    FakeStack taken_over;
    boot_old(taken_over);
    taken_over.drawn = 0;
    taken_over.take_over();
    boot_old(*this);
    const Milliseconds age = age_of_replacement(*this);
    EXPECT_GE(age, 100s);
    EXPECT_LE(age, 130s);
    EXPECT_EQ(age_of_replacement(taken_over), age);
    spawn_all();
    ASSERT_THAT(keeper.sent, SizeIs(1));
    obey();
    EXPECT_THAT(wids("web"), ElementsAre(1));
}

TEST_F(WatcherTest, StopWaitsForTheLastOutput) {
    auto& w = watcher("web");
    w.stdout_stream.emplace();
    w.stdout_stream->class_name = "FileStream";
    w.stdout_stream->filename = "/tmp/log-$(circus.wid)";
    boot_running();
    EXPECT_EQ(streams.opened, (Texts{"/tmp/log-1"}));
    arbiter->stop(at("web"), keep());
    arbiter->settle();
    obey();
    EXPECT_FALSE(answer);
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopping);
    streams.finishing.at(0)();
    arbiter->settle();
    EXPECT_TRUE(answer);
}

TEST_F(WatcherTest, AFailedSpawnGivesItsPipesBack) {
    auto& w = watcher("web");
    w.stderr_stream.emplace();
    boot();
    fail_all(EACCES);
    EXPECT_THAT(streams.discarded, ElementsAre(1));
}

TEST_F(WatcherTest, SignalsGoWhereTheyAreSent) {
    watcher("web", 2);
    boot_running();
    SignalRequest request;
    request.signo = SIGUSR1;
    EXPECT_TRUE(arbiter->signal(at("web"), request));
    EXPECT_THAT(keeper.sent, SizeIs(2));
    request.pid = 1001;
    request.recursive = true;
    EXPECT_TRUE(arbiter->signal(at("web"), request));
    EXPECT_EQ(keeper.sent.back().scope, keeper::Scope::Tree);
    request.child_pid = 77;
    EXPECT_TRUE(arbiter->signal(at("web"), request));
    EXPECT_EQ(keeper.sent.back().pid, 77);
    request.pid.reset();
    EXPECT_FALSE(arbiter->signal(at("web"), request));
    EXPECT_THAT(events.take(), IsEmpty());
}

TEST_F(WatcherTest, SetOfTheCommandReloadsAndOfAStopSettingDoesNot) {
    watcher("web");
    boot_running();
    EXPECT_TRUE(arbiter->set_options(at("web"), {{"graceful_timeout", 7}}, {}));
    arbiter->settle();
    EXPECT_EQ(at("web").config().graceful_timeout, 7);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_TRUE(arbiter->set_options(at("web"), {{"cmd", "/bin/other"}, {"warmup_delay", 0}}, keep()));
    arbiter->settle();
    EXPECT_THAT(keeper.asked, SizeIs(1));
    spawn_all();
    obey();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(events.take(), (Texts{"updated", "updated", "updated", "spawn", "kill", "reap", "reload"}));
}

TEST_F(WatcherTest, SetChecksEverythingBeforeItAppliesTheFirst) {
    watcher("web");
    boot_running();
    const Status status = arbiter->set_options(at("web"), {{"graceful_timeout", 7}, {"nonsense", 1}}, {});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().text, "unknown key 'nonsense'");
    EXPECT_EQ(status.error().code, 3);
    EXPECT_EQ(at("web").config().graceful_timeout, 30);
}

}  // namespace
}  // namespace circus::supervise
