// Several watchers: order, isolation, add and remove, and the end of it all.
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

struct ArbiterTest : testing::Test, FakeStack {
    std::optional<Result<OpResult>> answer;
    Done keep() {
        return [this](Result<OpResult> result) { answer = std::move(result); };
    }
    Texts asked_programs() {
        Texts out;
        for (const ChildId id : keeper.asked) out.push_back(keeper.requests[id].argv.front());
        return out;
    }
    config::WatcherConfig& program(const std::string& name, int priority) {
        auto& w = watcher(name);
        w.cmd = name;
        w.priority = priority;
        return w;
    }
};

TEST_F(ArbiterTest, HigherPriorityStartsFirstAndStopsLast) {
    program("low", 1);
    program("high", 9);
    program("middle", 5);
    boot();
    EXPECT_EQ(asked_programs(), (Texts{"high", "middle", "low"}));
    spawn_all();
    arbiter->quit(keep());
    arbiter->settle();
    EXPECT_EQ(at("low").status(), WatcherStatus::Stopping);
    EXPECT_EQ(at("middle").status(), WatcherStatus::Active);
    obey();
    EXPECT_EQ(at("middle").status(), WatcherStatus::Stopping);
    EXPECT_EQ(at("high").status(), WatcherStatus::Active);
    obey();
    obey();
    EXPECT_TRUE(answer);
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(ArbiterTest, TheArbitersWarmupSpacesTheWatchers) {
    config.circus.warmup_delay = 2;
    program("a", 0);
    program("b", 0);
    boot();
    EXPECT_EQ(asked_programs(), (Texts{"a"}));
    EXPECT_EQ(arbiter->next_alarm(), clock.now() + 2s);
    pass(2s);
    EXPECT_EQ(asked_programs(), (Texts{"a", "b"}));
}

TEST_F(ArbiterTest, AStopCancelsAStartThatIsStillWaitingItsTurn) {
    config.circus.warmup_delay = 2;
    program("a", 0);
    program("b", 0);
    boot();
    arbiter->stop(at("b"), {});
    arbiter->settle();
    pass(3s);
    EXPECT_EQ(asked_programs(), (Texts{"a"}));
}

TEST_F(ArbiterTest, NamesAreFoundWithoutCaseAndShownAsWritten) {
    watcher("My Web");
    boot();
    ASSERT_NE(arbiter->find("my web"), nullptr);
    EXPECT_EQ(arbiter->find("MY WEB")->name(), "My Web");
    EXPECT_EQ(arbiter->find("web"), nullptr);
}

TEST_F(ArbiterTest, ASlowStopDelaysNoOtherWatcher) {
    watcher("slow");
    watcher("web");
    boot_running();
    arbiter->stop(at("slow"), {});
    arbiter->settle();
    arbiter->restart(at("web"), keep());
    arbiter->settle();
    keeper.sent.erase(keeper.sent.begin());  // "slow" ignores its signal
    obey();
    spawn_all();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(at("slow").status(), WatcherStatus::Stopping);
}

TEST_F(ArbiterTest, AddedWatchersStartAndTakenNamesAreRefused) {
    watcher("web");
    boot_running();
    config::WatcherConfig job;
    job.name = "job";
    job.cmd = "/bin/job";
    auto added = arbiter->add(job);
    ASSERT_TRUE(added);
    arbiter->start(**added, keep());
    arbiter->settle();
    spawn_all();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(events.take(), (Texts{"add", "spawn", "start"}));
    job.name = "WEB";
    const auto refused = arbiter->add(job);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().text, "'WEB' already exist");
    EXPECT_EQ(refused.error().code, 5);
}

TEST_F(ArbiterTest, ARemovedNameIsGoneAtOnceAndFreeAgainWhileTheOldOneStops) {
    watcher("web");
    boot_running();
    arbiter->remove(at("web"), false, keep());
    arbiter->settle();
    EXPECT_EQ(arbiter->find("web"), nullptr);
    EXPECT_FALSE(answer);
    config::WatcherConfig again;
    again.name = "web";
    again.cmd = "/bin/again";
    ASSERT_TRUE(arbiter->add(again));
    obey();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(events.take(), (Texts{"remove", "kill", "add", "reap", "stop"}));
    EXPECT_NE(arbiter->find("web"), nullptr);
}

TEST_F(ArbiterTest, RemoveNostopLeavesTheProcessesUntilTheEnd) {
    watcher("web", 2);
    boot_running();
    arbiter->remove(at("web"), true, keep());
    arbiter->settle();
    EXPECT_TRUE(answer && *answer);
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_THAT(arbiter->all_processes(), SizeIs(2));
    arbiter->quit({});
    arbiter->settle();
    EXPECT_THAT(keeper.sent, SizeIs(2));
    obey();
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(ArbiterTest, StopOfSeveralAnswersOnceWhenTheLastIsGone) {
    watcher("a");
    watcher("b");
    boot_running();
    int answers = 0;
    arbiter->stop_all(arbiter->watchers(), [&answers](const Result<OpResult>&) { ++answers; });
    arbiter->settle();
    EXPECT_EQ(answers, 0);
    obey();
    EXPECT_EQ(answers, 1);
    arbiter->start_all(arbiter->watchers(), [&answers](const Result<OpResult>&) { ++answers; });
    arbiter->settle();
    spawn_all();
    EXPECT_EQ(answers, 2);
}

TEST_F(ArbiterTest, RestartOfAllStopsAllBeforeItStartsTheFirst) {
    watcher("a");
    watcher("b");
    boot_running();
    arbiter->restart_all(arbiter->watchers(), keep());
    arbiter->settle();
    obey();
    spawn_all();
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(events.take(),
              (Texts{"kill", "kill", "reap", "reap", "stop", "stop", "spawn", "spawn", "start", "start"}));
}

TEST_F(ArbiterTest, NothingStartsAnyMoreWhileEverythingStops) {
    watcher("web");
    watcher("off").autostart = false;
    boot_running();
    arbiter->quit({});
    arbiter->settle();
    arbiter->start(at("off"), keep());
    arbiter->settle();
    ASSERT_TRUE(answer && !*answer);
    EXPECT_EQ(answer->error().text, "arbiter is already running arbiter_stop command");
    EXPECT_THAT(keeper.asked, IsEmpty());
    obey();
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(ArbiterTest, TheWholeStacksDeadlineKillsWhatIsLeft) {
    config.circus.stop_timeout = 10;
    watcher("web").graceful_timeout = 300;
    boot();
    config.circus.stop_timeout = 10;
    spawn_all();
    arbiter->quit({});
    arbiter->settle();
    keeper.sent.clear();
    pass(61s);
    ASSERT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(keeper.sent[0].signo, SIGKILL);
}

TEST_F(ArbiterTest, ASecondTermKillsAtOnce) {
    watcher("web", 3);
    boot_running();
    arbiter->quit({});
    arbiter->settle();
    keeper.sent.clear();
    arbiter->quit_now();
    arbiter->settle();
    ASSERT_THAT(keeper.sent, SizeIs(3));
    EXPECT_EQ(keeper.sent[0].signo, SIGKILL);
    obey();
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(ArbiterTest, QuitWithASpawnUnderWayLeavesNothing) {
    watcher("web");
    boot();
    arbiter->quit({});
    arbiter->settle();
    EXPECT_FALSE(arbiter->is_stopped());
    spawn_all();
    obey();
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(ArbiterTest, AFactAboutAnUnknownChildIsNothing) {
    watcher("web");
    boot_running();
    arbiter->on_exited(4711, 0, rusage{});
    arbiter->on_spawned(4712, 1, UniqueFd());
    arbiter->settle();
    EXPECT_THAT(events.take(), IsEmpty());
}

TEST_F(ArbiterTest, TheInstanceMarkIsInEveryEnvironment) {
    watcher("web");
    boot();
    EXPECT_THAT(keeper.requests.begin()->second.envp, testing::Contains("CIRCUS_INSTANCE=7-7.1"));
}

}  // namespace
}  // namespace circus::supervise
