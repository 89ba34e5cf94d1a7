// Spawns that fail: what counts as a failure, when a watcher is given up for it, and who stays whatever
// fails.
#include <gmock/gmock.h>

#include "base/log.hpp"
#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using model::WatcherStatus;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> errors;

struct Failing : FakeStack {
    Failing() {
        errors.clear();
        log::set_sink([](log::Level level, std::string_view line) {
            if (level == log::Level::Error) errors.emplace_back(line);
        });
    }
    ~Failing() { log::set_sink(nullptr); }
    Failing(const Failing&) = delete;
    Failing& operator=(const Failing&) = delete;

    Done keep() {
        return [this](Result<OpResult> result) { answer = std::move(result); };
    }
    void reload(const ReloadRequest& request = {}) {
        arbiter->reload(at("web"), request, keep());
        arbiter->settle();
    }
    // Whoever is told to stop obeys, and every spawn fails, so many times with a pause between.
    void fail_for(int rounds) {
        for (int round = 0; round < rounds; ++round) {
            obey();
            fail_all(ENOENT);
            pass(6s);
        }
    }
    std::vector<pid_t> running() {
        std::vector<pid_t> out;
        for (const Process* process : at("web").active()) out.push_back(process->pid);
        std::sort(out.begin(), out.end());
        return out;
    }

    std::optional<Result<OpResult>> answer;
};

std::size_t told(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(errors.begin(), errors.end(), [&](const std::string& line) {
        return line.find(text) != std::string::npos;
    }));
}

struct FailuresTest : testing::Test, Failing {};

TEST_F(FailuresTest, AReloadOfManyToABrokenCommandEndsNobody) {
    watcher("web", 12);
    boot_running();
    const auto before = running();
    reload();
    fail_for(20);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("reload given up, the old processes stay"));
    EXPECT_EQ(running(), before);
    EXPECT_THAT(keeper.sent, IsEmpty());
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    EXPECT_EQ(told("watcher web: cannot spawn"), 5u);
}

TEST_F(FailuresTest, ThoseOfABurstThatAreOfNoAccountAnyMoreDoNotCount) {
    watcher("web", 12).max_retry = 1;
    boot_running();
    reload();
    fail_for(1);
    EXPECT_TRUE(at("web").is_up());
    EXPECT_THAT(wids("web"), SizeIs(12));
    EXPECT_THAT(keeper.sent, IsEmpty());
}

TEST_F(FailuresTest, WhereAReloadStopsOneFirstTheOthersStayAndItIsTriedOn) {
    ReloadRequest rolling;
    rolling.max_surge = 0;
    rolling.max_unavailable = 1;
    for (const ReloadRequest& request : {ReloadRequest(ReloadKind::Sequential), rolling}) {
        Failing stack;
        stack.watcher("web", 12);
        stack.boot_running();
        const auto before = stack.running();
        stack.reload(request);
        stack.fail_for(30);
        ASSERT_TRUE(stack.answer && !*stack.answer);
        const auto kept = stack.running();
        EXPECT_THAT(kept, SizeIs(11));
        EXPECT_TRUE(std::includes(before.begin(), before.end(), kept.begin(), kept.end()));
        EXPECT_THAT(stack.keeper.asked, SizeIs(1)) << "after the longest pause, again and again";
        EXPECT_EQ(told("it is tried again every 5 s, beside the 11 that are ready"), 1u);
        EXPECT_EQ(told("watcher web: cannot spawn"), 10u) << "no line for each of the tries that follow";
        stack.spawn_all();
        EXPECT_EQ(stack.at("web").status(), WatcherStatus::Active);
        EXPECT_THAT(stack.wids("web"), SizeIs(12));
    }
}

TEST_F(FailuresTest, OneThatDiesWhileItsProgramIsAwayTakesNobodyAlong) {
    watcher("web", 12);
    boot_running();
    die(child("web", 4), SIGKILL);
    pass(1s);
    fail_for(20);
    EXPECT_THAT(wids("web"), SizeIs(11));
    EXPECT_THAT(keeper.sent, IsEmpty());
    spawn_all();
    EXPECT_THAT(wids("web"), SizeIs(12));
}

TEST_F(FailuresTest, WhoWaitsForMoreProcessesIsToldThatTheyCannotBeStarted) {
    watcher("web", 2);
    boot_running();
    arbiter->set_numprocesses(at("web"), 4, keep());
    arbiter->settle();
    fail_for(5);
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(answer->error().text, HasSubstr("5 failed spawns in a row"));
    EXPECT_THAT(wids("web"), ElementsAre(1, 2));
}

TEST_F(FailuresTest, WhenNobodyServesAnyMoreItIsAsEver) {
    watcher("web", 2);
    boot_running();
    die(child("web", 1), SIGKILL);
    pass(1s);
    fail_for(10);
    EXPECT_TRUE(at("web").is_up());
    die(child("web", 2), SIGKILL);
    pass(1s);
    fail_for(2);
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
}

TEST_F(FailuresTest, ManyThatFailAtOnceAreOneFailure) {
    watcher("web", 500).max_retry = 3;
    boot();
    for (int round = 1; round <= 3; ++round) {
        ASSERT_TRUE(at("web").is_up()) << round;
        EXPECT_THAT(keeper.asked, SizeIs(500)) << round;
        fail_for(1);
    }
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    EXPECT_EQ(told("watcher web: cannot spawn"), 3u);
    EXPECT_EQ(told("stopped after 3 failed spawns in a row"), 1u);
    EXPECT_THAT(errors, SizeIs(4));
}

TEST_F(FailuresTest, TheProgramMayComeLate) {
    watcher("web", 8);
    boot();
    fail_for(4);
    spawn_all();
    EXPECT_EQ(at("web").status(), WatcherStatus::Active);
    // And the next time it is counted from the beginning.
    for (int wid = 1; wid <= 8; ++wid) die(child("web", wid), SIGKILL);
    pass(1s);
    fail_for(4);
    EXPECT_TRUE(at("web").is_up());
    fail_for(1);
    EXPECT_FALSE(at("web").is_up());
}

TEST_F(FailuresTest, ManyThatAreNeverReadyAreOneFailureToo) {
    config::WatcherConfig& web = watcher("web", 4);
    web.ready.kind = config::ReadyConfig::Kind::Notify;
    web.max_retry = 2;
    boot_running();
    for (int wid = 1; wid <= 4; ++wid) die(child("web", wid), SIGKILL);
    EXPECT_TRUE(at("web").is_up()) << "each has failed once";
    pass(5s);
    spawn_all();
    die(child("web", 1), SIGKILL);
    EXPECT_FALSE(at("web").is_up());
}

TEST_F(FailuresTest, ACriticalWatcherThatWasStoppedMeanwhileEndsNothing) {
    config::WatcherConfig& web = watcher("web", 8);
    web.critical = true;
    web.max_retry = 1;
    watcher("other");
    boot();
    arbiter->stop(at("web"), keep());
    arbiter->settle();
    fail_all(ENOENT);
    EXPECT_FALSE(arbiter->is_stopping());
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    EXPECT_TRUE(answer && *answer);
    EXPECT_EQ(told("failed spawns in a row"), 0u);
}

// Before the keeper hears of it: the pattern of the first is none, those of the others are.
TEST_F(FailuresTest, AReloadThatIsGivenUpHalfwayStartsNoneOfTheRest) {
    watcher("web", 3).max_retry = 1;
    boot_running();
    const auto before = running();
    config::WatcherConfig broken = at("web").config();
    broken.ready = {config::ReadyConfig::Kind::Log, "a{2,$(circus.wid)}"};
    at("web").reconfigure(broken, at("web").identity(), false, {});
    reload();
    ASSERT_TRUE(answer && !*answer);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(running(), before);
    pass(6s);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_TRUE(at("web").is_up());
}

}  // namespace
}  // namespace circus::supervise
