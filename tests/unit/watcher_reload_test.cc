// Reloads that cannot take a site down: a few at a time, a few first, and back where the new ones are no
// good.
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
using Texts = std::vector<std::string>;

constexpr int kExit1 = 1 << 8;

struct ReloadTest : testing::Test, FakeStack {
    std::optional<Result<OpResult>> answer;
    Done keep() {
        return [this](Result<OpResult> result) { answer = std::move(result); };
    }
    void reload(const ReloadRequest& request) {
        arbiter->reload(at("web"), request, keep());
        arbiter->settle();
    }
    std::vector<pid_t> running() {
        std::vector<pid_t> out;
        for (const Process* process : at("web").active()) out.push_back(process->pid);
        return out;
    }
};

TEST_F(ReloadTest, WithASurgeOfOneItGoesOnOneByOneAndNobodyIsMissing) {
    watcher("web", 3).max_surge = 1;
    boot_running();
    reload({});
    for (int i = 0; i < 3; ++i) {
        EXPECT_THAT(keeper.asked, SizeIs(1));
        EXPECT_THAT(keeper.sent, IsEmpty());
        spawn_all();
        EXPECT_THAT(keeper.sent, SizeIs(1));
        EXPECT_EQ(at("web").active_count(), 4U);
        obey();
    }
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->stopped, ElementsAre(1001, 1002, 1003));
    EXPECT_EQ(events.take(),
              (Texts{"spawn", "kill", "reap", "spawn", "kill", "reap", "spawn", "kill", "reap", "reload"}));
}

TEST_F(ReloadTest, TheCommandsOwnNumbersGoBeforeTheWatchers) {
    watcher("web", 4).max_surge = 1;
    boot_running();
    ReloadRequest request;
    request.max_surge = 3;
    reload(request);
    EXPECT_THAT(keeper.asked, SizeIs(3));
}

TEST_F(ReloadTest, NothingOfBothIsRefused) {
    watcher("web", 2);
    boot_running();
    ReloadRequest request;
    request.max_surge = 0;
    reload(request);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("nothing can be replaced"));
}

TEST_F(ReloadTest, TheModeOfTheWatcherIsWhatReloadDoesByItself) {
    using config::ReloadMode;
    struct Row {
        ReloadMode mode;
        std::size_t asked, sent;  // at once, of two processes
    };
    for (const Row& row : {Row{ReloadMode::Graceful, 2, 0}, Row{ReloadMode::Sequential, 0, 1},
                           Row{ReloadMode::Terminate, 0, 2}, Row{ReloadMode::Hup, 0, 2}}) {
        FakeStack stack;
        stack.watcher("web", 2).reload_mode = row.mode;
        stack.boot_running();
        stack.arbiter->reload(stack.at("web"), ReloadKind::AsConfigured, {});
        stack.arbiter->settle();
        EXPECT_EQ(stack.keeper.asked.size(), row.asked);
        EXPECT_EQ(stack.keeper.sent.size(), row.sent);
    }
}

TEST_F(ReloadTest, OfSeveralAnErrorOfOneIsTheAnswer) {
    config::WatcherConfig& web = watcher("web");
    web.cmd = "/bin/web";
    web.max_retry = 1;
    watcher("worker");
    boot_running();
    arbiter->reload_all(arbiter->watchers(), {}, keep());
    arbiter->settle();
    for (const ChildId id : std::exchange(keeper.asked, {})) {
        pids[id] = next_pid++;
        if (keeper.requests.at(id).argv.front() == "/bin/web")
            arbiter->on_spawn_failed(id, keeper::SpawnStage::Exec, ENOENT, 0);
        else
            arbiter->on_spawned(id, pids[id], UniqueFd());
    }
    arbiter->settle();
    obey();
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("web: reload given up"));
}

// ---- canaries ----

struct CanaryTest : ReloadTest {
    void with_canary(int count, ReloadKind kind = ReloadKind::AsConfigured) {
        ReloadRequest request(kind);
        request.canary = count;
        request.canary_watch = 30s;
        reload(request);
    }
};

TEST_F(CanaryTest, WhenTheFirstOnesDoWellTheOthersFollow) {
    watcher("web", 3);
    boot_running();
    with_canary(1);
    EXPECT_THAT(keeper.asked, SizeIs(1));
    spawn_all();
    pass(29s);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_FALSE(answer);
    pass(1s);
    EXPECT_THAT(keeper.asked, SizeIs(2));
    spawn_all();
    obey();
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->started, ElementsAre(1004, 1005, 1006));
}

TEST_F(CanaryTest, WhenOneDiesItsCompanionsGoAndTheOldOnesStay) {
    watcher("web", 3);
    boot_running();
    with_canary(2);
    spawn_all();
    pass(10s);
    ChildId second = 0;
    for (const Process* process : at("web").active())
        if (process->pid == 1005) second = process->id;
    die(second, kExit1);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("process 1005 (wid 2) exited with 1"));
    EXPECT_THAT(events.log, Contains("reload_failed"));
    obey();
    EXPECT_THAT(running(), ElementsAre(1001, 1002, 1003));
    pass(60s);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(CanaryTest, TheNextArbiterWatchesItUntilTheTimeThatWasSaid) {
    watcher("web", 3);
    boot_running();
    with_canary(1);
    spawn_all();
    pass(20s);
    take_over();
    pass(9s);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_THAT(keeper.sent, IsEmpty());
    pass(1s);
    EXPECT_THAT(keeper.asked, SizeIs(2)) << "it did well";
    spawn_all();
    obey();
    EXPECT_THAT(running(), ElementsAre(1004, 1005, 1006));
}

TEST_F(CanaryTest, OneThatDiesAfterATakeoverEndsTheReload) {
    watcher("web", 2);
    boot_running();
    with_canary(1);
    spawn_all();
    pass(10s);
    take_over();
    ChildId first = 0;
    for (const Process* process : at("web").active())
        if (process->pid == 1003) first = process->id;
    die(first, kExit1);
    EXPECT_THAT(events.log, Contains("reload_failed"));
    pass(60s);
    EXPECT_THAT(running(), ElementsAre(1001, 1002));
}

TEST_F(CanaryTest, WhatKeepsNothingBesideTheOldOnesHasNone) {
    watcher("web", 2);
    boot_running();
    with_canary(1, ReloadKind::Terminate);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(keeper.sent, IsEmpty());
}

TEST_F(CanaryTest, AStopEndsItWithoutMuchAdo) {
    watcher("web", 2);
    boot_running();
    with_canary(1);
    spawn_all();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    EXPECT_TRUE(answer && !*answer) << "the reload was overtaken";
    obey();
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    arbiter->start(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(keeper.asked, SizeIs(2)) << "nothing of the canary is left";
}

}  // namespace
}  // namespace circus::supervise
