// stop_command: what is run in the place of the stop signal, and what happens when it does not do its work.
#include <gmock/gmock.h>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using model::WatcherStatus;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Texts = std::vector<std::string>;

constexpr int kExit1 = 1 << 8;

struct StopCommandTest : testing::Test, FakeStack {
    void SetUp() override {
        auto& web = watcher("web");
        web.stop_command = "/bin/finish $(circus.pid) $(circus.wid)";
        web.graceful_timeout = 5;
        boot_running();
        worker = child("web", 1);
    }
    // The id of the stop command that was asked for last, after the keeper said that it runs.
    ChildId begin_stop() {
        arbiter->stop(at("web"), [this](const Result<OpResult>& result) { stopped = bool(result); });
        arbiter->settle();
        const ChildId id = keeper.asked.empty() ? 0 : keeper.asked.front();
        spawn_all();
        return id;
    }
    std::vector<int> real_signals() const {
        std::vector<int> signals;
        for (const auto& sent : keeper.sent)
            if (sent.signo != 0) signals.push_back(sent.signo);
        return signals;
    }

    ChildId worker = 0;
    bool stopped = false;
};

TEST_F(StopCommandTest, IsRunInTheSignalsPlaceAndToldOfTheProcess) {
    const ChildId command = begin_stop();
    ASSERT_TRUE(keeper.requests.contains(command));
    EXPECT_THAT(keeper.requests[command].argv, ElementsAre("/bin/finish", "1001", "1"));
    EXPECT_THAT(keeper.requests[command].envp, Contains("CIRCUS_PID=1001"));
    EXPECT_THAT(real_signals(), IsEmpty());
    EXPECT_EQ(events.take(), (Texts{"kill"}));
    die(worker, 0);
    EXPECT_FALSE(stopped) << "the command still runs";
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopping);
    die(command, 0);
    EXPECT_TRUE(stopped);
    EXPECT_EQ(events.take(), (Texts{"reap", "stop"}));
}

TEST_F(StopCommandTest, IsNoWorkerToAnybody) {
    begin_stop();
    EXPECT_THAT(at("web").active(), SizeIs(1));
    EXPECT_EQ(at("web").find_pid(1002), nullptr);
}

TEST_F(StopCommandTest, OneThatHangsIsKilledWithItsProcessWhenTheGraceIsOver) {
    const ChildId command = begin_stop();
    pass(5s);
    std::vector<ChildId> killed;
    for (const auto& sent : keeper.sent)
        if (sent.signo == SIGKILL && sent.scope == keeper::Scope::Tree) killed.push_back(sent.id);
    EXPECT_THAT(killed, ElementsAre(worker, command));
    die(worker, SIGKILL);
    die(command, SIGKILL);
    EXPECT_TRUE(stopped);
    EXPECT_EQ(real_signals(), (std::vector<int>{SIGKILL, SIGKILL}));
}

TEST_F(StopCommandTest, OneThatFailsOrCannotRunIsFollowedByTheSignalAndAtLastBySigkill) {
    const ChildId command = begin_stop();
    die(command, kExit1);
    EXPECT_EQ(real_signals(), (std::vector<int>{SIGTERM}));
    pass(5s);
    EXPECT_EQ(real_signals(), (std::vector<int>{SIGTERM, SIGKILL}));
}

TEST_F(StopCommandTest, OneThatCannotBeSpawnedIsNoFailedSpawnOfTheWatcher) {
    arbiter->stop(at("web"), {});
    arbiter->settle();
    fail_all(ENOENT);
    EXPECT_EQ(real_signals(), (std::vector<int>{SIGTERM}));
    obey();
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    arbiter->start(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(StopCommandTest, AKillThatNamesASignalSendsThatOne) {
    KillRequest request;
    request.signo = SIGUSR1;
    arbiter->kill(at("web"), request, {});
    arbiter->settle();
    EXPECT_EQ(real_signals(), (std::vector<int>{SIGUSR1}));
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(StopCommandTest, ARestartStartsNothingBeforeTheCommandEnded) {
    arbiter->restart(at("web"), {});
    arbiter->settle();
    const ChildId command = keeper.asked.front();
    spawn_all();
    die(worker, 0);
    EXPECT_THAT(keeper.asked, IsEmpty());
    die(command, 0);
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(StopCommandTest, ASecondTermHasNoTimeForIt) {
    arbiter->quit_now();
    arbiter->settle();
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(real_signals(), (std::vector<int>{SIGKILL}));
}

}  // namespace
}  // namespace circus::supervise
