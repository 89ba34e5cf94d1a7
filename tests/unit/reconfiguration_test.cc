// A change of the configuration on the whole arbiter: what is touched, what is not, and what a failure
// leaves.
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using model::WatcherStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using Texts = std::vector<std::string>;
using Entries = ConfigPlan::Entries;

struct ReconfigurationTest : testing::Test, FakeStack {
    std::vector<Result<ConfigPlan>> answers;

    void SetUp() override {
        watcher("web", 2);
        watcher("job");
        boot_running();
    }
    config::WatcherConfig& in_file(const std::string& name) {
        for (auto& each : daemon.file.config.watchers)
            if (each.name == name) return each;
        daemon.file.config.watchers.push_back({});
        daemon.file.config.watchers.back().name = name;
        daemon.file.config.watchers.back().cmd = "/bin/program";
        return daemon.file.config.watchers.back();
    }
    void remove_from_file(const std::string& name) {
        std::erase_if(daemon.file.config.watchers, [&](const auto& each) { return each.name == name; });
    }
    void ask(ConfigChange what = ConfigChange::Reload) {
        arbiter->reconfigure(what,
                             [this](Result<ConfigPlan> result) { answers.push_back(std::move(result)); });
        arbiter->settle();
    }
    // The worker's thread comes to the end of its jobs.
    void read() {
        for (auto& [job, then] : std::exchange(worker.jobs, {})) {
            job();
            then();
        }
        arbiter->settle();
    }
    // Until nothing more is asked of the keeper.
    void run_on() {
        while (!keeper.asked.empty() || !keeper.sent.empty()) {
            spawn_all();
            obey();
        }
    }
    ConfigPlan reload() {
        ask();
        read();
        run_on();
        return plan();
    }
    ConfigPlan plan() {
        EXPECT_EQ(answers.size(), 1u);
        if (answers.size() != 1) return {};
        const auto answer = std::exchange(answers, {}).front();
        EXPECT_TRUE(answer) << answer.error().text;
        return answer ? *answer : ConfigPlan{};
    }
    Error refusal() {
        EXPECT_EQ(answers.size(), 1u);
        if (answers.size() != 1 || answers.front()) return {};
        return std::exchange(answers, {}).front().error();
    }
    // A socket below the folder of the tests.
    static config::SocketConfig unix_socket(config::SocketType type) {
        config::SocketConfig socket;
        socket.name = "door";
        socket.path = testing::TempDir() + "circus-door-" + std::to_string(::getpid());
        socket.family = config::Family::Unix;
        socket.type = type;
        return socket;
    }
    std::vector<ChildId> children(const std::string& name) {
        std::vector<ChildId> ids;
        for (const Process* process : at(name).active()) ids.push_back(process->id);
        return ids;
    }
};

TEST_F(ReconfigurationTest, AnUnchangedFileTouchesNothing) {
    const auto web = children("web");
    const ConfigPlan plan = reload();
    EXPECT_THAT(plan.kept, ElementsAre(std::pair("web", "unchanged"), std::pair("job", "unchanged")));
    EXPECT_EQ(children("web"), web);
    EXPECT_THAT(events.take(), IsEmpty());
}

TEST_F(ReconfigurationTest, AnotherCountStartsOrStopsTheDifference) {
    const auto web = children("web");
    in_file("web").numprocesses = 4;
    EXPECT_THAT(reload().updated, ElementsAre(std::pair("web", "numprocesses")));
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3, 4));
    EXPECT_EQ((std::vector<ChildId>{children("web")[0], children("web")[1]}), web);
    in_file("web").numprocesses = 1;
    reload();
    EXPECT_EQ(children("web"), (std::vector<ChildId>{web[0]}));
}

TEST_F(ReconfigurationTest, AnyOtherChangeReplacesOnlyItsWatcherNewOnesFirst) {
    const auto job = children("job");
    in_file("web").cmd = "/bin/other";
    ask();
    read();
    EXPECT_EQ(keeper.asked.size(), 2u);
    EXPECT_THAT(keeper.sent, IsEmpty()) << "nobody is stopped before the new ones run";
    EXPECT_TRUE(answers.empty());
    run_on();
    EXPECT_THAT(plan().restarted, ElementsAre(std::pair("web", "cmd")));
    EXPECT_EQ(keeper.requests[children("web")[0]].argv, Texts{"/bin/other"});
    EXPECT_EQ(children("job"), job);
}

TEST_F(ReconfigurationTest, ALiveOptionAppliesToTheProcessesThereAre) {
    const auto web = children("web");
    in_file("web").stop_signal = SIGINT;
    EXPECT_THAT(reload().updated, ElementsAre(std::pair("web", "stop_signal")));
    EXPECT_EQ(children("web"), web);
    EXPECT_THAT(events.take(), ElementsAre("updated"));
    arbiter->stop(at("web"), {});
    arbiter->settle();
    EXPECT_EQ(keeper.sent.at(0).signo, SIGINT);
}

TEST_F(ReconfigurationTest, ANewWatcherStartsWhenTheRemovedOnesAreGone) {
    remove_from_file("job");
    in_file("new");
    ask();
    read();
    EXPECT_EQ(arbiter->find("job"), nullptr) << "the name is gone at once";
    EXPECT_THAT(keeper.asked, IsEmpty()) << "its place may be taken still";
    run_on();
    const ConfigPlan done = plan();
    EXPECT_THAT(done.stopped, ElementsAre(std::pair("job", "not in the file")));
    EXPECT_THAT(done.started, ElementsAre(std::pair("new", "new")));
    EXPECT_EQ(at("new").status(), WatcherStatus::Active);
    EXPECT_THAT(events.take(), ElementsAre("remove", "add", "kill", "reap", "stop", "spawn", "start"));
}

TEST_F(ReconfigurationTest, ANewWatcherWithoutAutostartWaits) {
    in_file("new").autostart = false;
    EXPECT_THAT(reload().updated, ElementsAre(std::pair("new", "new")));
    EXPECT_EQ(at("new").status(), WatcherStatus::Stopped);
}

TEST_F(ReconfigurationTest, AWatcherOfACommandIsRemovedAndARemovedOneComesBack) {
    config::WatcherConfig extra;
    extra.name = "extra";
    extra.cmd = "/bin/extra";
    arbiter->start(**arbiter->add(extra), {});
    arbiter->remove(at("job"), false, {});
    arbiter->settle();
    run_on();
    reload();
    EXPECT_EQ(arbiter->find("extra"), nullptr);
    EXPECT_EQ(at("job").status(), WatcherStatus::Active);
}

TEST_F(ReconfigurationTest, WhatWasSetAtRunTimeStaysWhereTheFileDidNotChange) {
    arbiter->set_numprocesses(at("web"), 5, {});
    arbiter->settle();
    run_on();
    in_file("job").priority = 3;
    EXPECT_THAT(reload().kept, ElementsAre(std::pair("web", "unchanged; at run time: numprocesses")));
    EXPECT_EQ(at("web").numprocesses(), 5);
    in_file("web").graceful_timeout = 3;
    reload();
    EXPECT_EQ(at("web").numprocesses(), 2) << "a section that changed is taken whole";
}

TEST_F(ReconfigurationTest, TheFileIsComparedWithWhatItWasLast) {
    in_file("web").numprocesses = 3;
    reload();
    arbiter->set_numprocesses(at("web"), 7, {});
    arbiter->settle();
    run_on();
    reload();
    EXPECT_EQ(at("web").numprocesses(), 7);
}

TEST_F(ReconfigurationTest, AStoppedWatcherStaysStoppedUnlessItWouldBeStartedAnew) {
    arbiter->stop(at("web"), {});
    arbiter->settle();
    run_on();
    in_file("web").numprocesses = 3;
    reload();
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    in_file("web").cmd = "/bin/fixed";
    EXPECT_THAT(reload().started, ElementsAre(std::pair("web", "cmd")));
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    EXPECT_THAT(wids("web"), ElementsAre(1, 2, 3));
}

TEST_F(ReconfigurationTest, AnUnusableFileIsAnErrorAndNothingIsTouched) {
    const auto web = children("web");
    in_file("web").cmd = "/bin/other";
    daemon.file.errors.push_back({"stack.toml", 3, 1, "unknown option \"x\""});
    daemon.file.errors.push_back({"stack.toml", 4, 1, "no such user"});
    ask();
    read();
    const Error error = refusal();
    EXPECT_EQ(error.code, static_cast<int>(Errno::Exception));
    EXPECT_EQ(error.text, "stack.toml:3:1: unknown option \"x\"\nstack.toml:4:1: no such user");
    EXPECT_EQ(children("web"), web);
    EXPECT_THAT(daemon.log, IsEmpty());
    daemon.file.errors.clear();
    EXPECT_THAT(reload().restarted, ElementsAre(std::pair("web", "cmd"))) << "the next one finds the change";
}

TEST_F(ReconfigurationTest, ASocketThatCannotBeBoundIsAnErrorAndNothingIsTouched) {
    config::SocketConfig bad;
    bad.name = "bad";
    bad.host = "256.0.0.1";
    daemon.file.config.sockets = {bad};
    in_file("web").cmd = "/bin/other";
    ask();
    read();
    EXPECT_THAT(refusal().text, testing::StartsWith("[socket.bad]: cannot bind "));
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_THAT(keeper.held, IsEmpty());
}

TEST_F(ReconfigurationTest, WhatTheDaemonRefusesIsAnErrorAndNothingIsTouched) {
    daemon.refuses = "cannot bind ipc:///x";
    in_file("web").cmd = "/bin/other";
    ask();
    read();
    EXPECT_EQ(refusal().text, "cannot bind ipc:///x");
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(ReconfigurationTest, AReloadThatIsGivenUpIsToldAndTheOldProcessesStay) {
    const auto web = children("web");
    in_file("web").cmd = "/bin/missing";
    in_file("web").max_retry = 1;
    ask();
    read();
    fail_all(ENOENT);
    const Error error = refusal();
    EXPECT_EQ(error.code, static_cast<int>(Errno::Command));
    EXPECT_THAT(error.text, testing::StartsWith("watcher web: reload given up"));
    EXPECT_EQ(children("web"), web);
}

TEST_F(ReconfigurationTest, APreviewTellsAndDoesNothing) {
    in_file("web").cmd = "/bin/other";
    remove_from_file("job");
    ask(ConfigChange::Preview);
    read();
    const ConfigPlan told = plan();
    EXPECT_THAT(told.restarted, ElementsAre(std::pair("web", "cmd")));
    EXPECT_THAT(told.stopped, ElementsAre(std::pair("job", "not in the file")));
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_THAT(daemon.log, IsEmpty());
    EXPECT_THAT(reload().restarted, ElementsAre(std::pair("web", "cmd")));
}

TEST_F(ReconfigurationTest, OptionsOfCircusAreCommittedAndTheOldOnesRetiredAfterTheAnswer) {
    daemon.file.config.circus.warmup_delay = 3;
    const ConfigPlan done = reload();
    EXPECT_THAT(done.circus, ElementsAre(std::pair("warmup_delay", "in force")));
    EXPECT_EQ(arbiter->config().warmup_delay, 3);
    EXPECT_THAT(daemon.log, ElementsAre("stage", "commit", "retire"));
}

TEST_F(ReconfigurationTest, WhatOnlyANewDaemonPutsIntoForceIsToldEachTimeAndNotPretended) {
    daemon.file.config.circus.stats_endpoint = "ipc:///elsewhere";
    for (int i = 0; i < 2; ++i)
        EXPECT_THAT(reload().circus,
                    ElementsAre(std::pair("stats_endpoint", "in force when circusd is started again")));
    EXPECT_NE(arbiter->config().stats_endpoint, "ipc:///elsewhere");
}

TEST_F(ReconfigurationTest, ThoseThatAskWhileItReadsAreAnsweredByOneMoreReading) {
    ask();
    in_file("web").cmd = "/bin/other";
    ask();
    ask();
    read();
    EXPECT_EQ(worker.jobs.size(), 1u) << "the file may have changed since the first one began to read it";
    read();
    run_on();
    ASSERT_EQ(answers.size(), 3u);
    for (const auto& answer : answers) EXPECT_TRUE(answer);
}

TEST_F(ReconfigurationTest, ASlowStopOfARemovedWatcherKeepsNobodyFromTheNextChange) {
    remove_from_file("job");
    ask();
    read();
    ASSERT_THAT(answers, IsEmpty());
    keeper.sent.clear();  // "job" ignores its signal
    in_file("web").cmd = "/bin/other";
    ask();
    read();
    spawn_all();
    obey();
    EXPECT_EQ(answers.size(), 1u);
}

TEST_F(ReconfigurationTest, AStopOfTheDaemonAnswersWhoWaits) {
    ask();
    arbiter->quit({});
    arbiter->settle();
    EXPECT_EQ(refusal().text, "arbiter is already running arbiter_stop command");
    in_file("web").cmd = "/bin/other";
    read();
    EXPECT_THAT(keeper.asked, IsEmpty());
    ask();
    EXPECT_EQ(refusal().code, static_cast<int>(Errno::Command));
}

// ---- restart of everything ----

TEST_F(ReconfigurationTest, ARestartStopsAllThenReadsTheFileAsAFreshStartDoes) {
    arbiter->set_numprocesses(at("web"), 5, {});
    arbiter->settle();
    run_on();
    remove_from_file("job");
    in_file("new").autostart = false;
    in_file("late");
    ask(ConfigChange::Restart);
    read();
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopping);
    EXPECT_EQ(at("job").status(), WatcherStatus::Stopping);
    run_on();
    const ConfigPlan done = plan();
    EXPECT_THAT(done.restarted, ElementsAre(std::pair("web", "numprocesses")));
    EXPECT_THAT(done.started, ElementsAre(std::pair("late", "new")));
    EXPECT_THAT(done.stopped, ElementsAre(std::pair("new", "does not start by itself"),
                                          std::pair("job", "not in the file")));
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
    EXPECT_EQ(at("late").status(), WatcherStatus::Active);
    EXPECT_EQ(at("new").status(), WatcherStatus::Stopped);
    EXPECT_EQ(arbiter->find("job"), nullptr);
}

TEST_F(ReconfigurationTest, ARestartStartsWhatTheOperatorHadStopped) {
    arbiter->stop(at("web"), {});
    arbiter->settle();
    run_on();
    ask(ConfigChange::Restart);
    read();
    run_on();
    plan();
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
}

TEST_F(ReconfigurationTest, ARestartWithAnUnusableFileStopsNobody) {
    daemon.file.errors.push_back({"stack.toml", 3, 1, "unknown option"});
    ask(ConfigChange::Restart);
    read();
    EXPECT_EQ(refusal().code, static_cast<int>(Errno::Exception));
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    EXPECT_THAT(keeper.sent, IsEmpty());
}

TEST_F(ReconfigurationTest, ARestartWaitsForAStopOfTheDaemonNoLonger) {
    ask(ConfigChange::Restart);
    read();
    arbiter->quit({});
    arbiter->settle();
    EXPECT_EQ(refusal().text, "arbiter is already running arbiter_stop command");
    EXPECT_THAT(daemon.log, ElementsAre("stage", "drop"));
    run_on();
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(ReconfigurationTest, AReloadAskedForDuringARestartFollowsIt) {
    ask(ConfigChange::Restart);
    read();
    in_file("web").numprocesses = 1;
    ask();
    EXPECT_THAT(worker.jobs, IsEmpty());
    run_on();
    read();
    run_on();
    EXPECT_EQ(answers.size(), 2u);
    EXPECT_THAT(wids("web"), ElementsAre(1));
}

// An arbiter that dies between the two would leave a path that leads to a listener which nobody has.
TEST_F(ReconfigurationTest, AUnixSocketsFileIsMovedWhenThereIsAStateThatKnowsOfTheNewListenerAndOfTheReload) {
    const auto stream = unix_socket(config::SocketType::Stream);
    daemon.file.config.sockets = {stream};
    in_file("web").use_sockets = true;
    reload();
    const auto inode = [&stream] {
        struct stat there {};
        EXPECT_EQ(::stat(stream.path.c_str(), &there), 0);
        return there.st_ino;
    };
    const ino_t before = inode();
    std::string first;
    ino_t at_first = 0;
    keeper.when_saved = [&] {
        if (first.empty()) at_first = inode();
        if (first.empty()) first = keeper.saved;
    };
    const std::set<ChildId> old{child("web", 1), child("web", 2)};
    daemon.file.config.sockets = {unix_socket(config::SocketType::SeqPacket)};
    ask();
    for (auto& [job, then] : std::exchange(worker.jobs, {})) {
        job();
        then();
    }
    EXPECT_EQ(at_first, before) << "not before it is saved";
    EXPECT_NE(inode(), before);
    keeper.when_saved = {};
    keeper.saved = first;
    take_over();
    EXPECT_EQ(keeper.asked.size(), 2U) << "workers that have the new one";
    spawn_all();
    obey();
    for (const ChildId id : old) EXPECT_FALSE(pids.contains(id));
    arbiter->close_sockets();
}

}  // namespace
}  // namespace circus::supervise
