// Hooks in a watcher's life: what waits for an answer, what an answer leads to, and that nothing waits for
// ever.
#include <gmock/gmock.h>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using model::HookPoint;
using model::WatcherStatus;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Texts = std::vector<std::string>;

constexpr int exited(int code) {
    return code << 8;
}

struct HooksTest : testing::Test, FakeStack {
    // A watcher with a function of a library at each of these points.
    config::WatcherConfig& hooked(const std::vector<HookPoint>& points, int numprocesses = 1) {
        auto& web = watcher("web", numprocesses);
        web.graceful_timeout = 5;
        for (const HookPoint point : points) web.hooks[point] = {"lib.so", "f", {}, 10, false};
        return web;
    }
    void say(HookVerdict verdict, std::string text = {}) {
        last = hooks.answer(verdict, std::move(text));
        arbiter->settle();
    }
    void start() {
        result.reset();
        arbiter->start(at("web"), [this](const Result<OpResult>& r) { result = r; });
        arbiter->settle();
    }
    void stop() {
        result.reset();
        arbiter->stop(at("web"), [this](const Result<OpResult>& r) { result = r; });
        arbiter->settle();
    }
    WatcherStatus status() { return at("web").status(); }
    std::vector<int> signals() const {
        std::vector<int> out;
        for (const auto& sent : keeper.sent)
            if (sent.signo != 0) out.push_back(sent.signo);
        return out;
    }

    HookCall last;
    std::optional<Result<OpResult>> result;
};

// ---- before_start ----

TEST_F(HooksTest, NothingIsSpawnedBeforeBeforeStartSaysYes) {
    hooked({HookPoint::BeforeStart}, 2);
    boot();
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(status(), WatcherStatus::Starting);
    say(HookVerdict::Ok);
    EXPECT_EQ(last.hook, "before_start");
    EXPECT_EQ(last.watcher, "web");
    EXPECT_EQ(last.args, "{}");
    spawn_all();
    EXPECT_EQ(status(), WatcherStatus::Active);
    EXPECT_EQ(events.take(), (Texts{"hook_success", "spawn", "spawn", "start"}));
    die(child("web", 1), 0);
    EXPECT_THAT(hooks.asked, IsEmpty()) << "a replacement is no start";
}

TEST_F(HooksTest, ANoOrAnErrorOfBeforeStartAbortsTheStartAndNothingWasToStop) {
    for (const HookVerdict verdict : {HookVerdict::Deny, HookVerdict::Error}) {
        SCOPED_TRACE(static_cast<int>(verdict));
        config.watchers.clear();
        hooked({HookPoint::BeforeStart, HookPoint::BeforeStop, HookPoint::AfterStop}).autostart = false;
        boot();
        start();
        EXPECT_FALSE(result);
        say(verdict, "no redis");
        EXPECT_EQ(status(), WatcherStatus::Stopped);
        ASSERT_TRUE(result && *result);
        EXPECT_THAT((*result)->started, IsEmpty());
        EXPECT_THAT(hooks.asked, IsEmpty());
        EXPECT_THAT(keeper.asked, IsEmpty());
        EXPECT_EQ(events.take(), (Texts{verdict == HookVerdict::Deny ? "hook_success" : "hook_failure"}));
    }
    EXPECT_THAT(events.payloads.back().second, HasSubstr("\"error\":\"no redis\""));
    start();
    say(HookVerdict::Ok);
    EXPECT_THAT(keeper.asked, SizeIs(1)) << "a later start asks anew";
}

TEST_F(HooksTest, RetryAsksAgainAfterAGrowingPause) {
    hooked({HookPoint::BeforeStart});
    boot();
    std::vector<Duration> pauses;
    for (int i = 0; i < 12; ++i) {
        say(HookVerdict::Retry);
        EXPECT_THAT(hooks.asked, IsEmpty());
        EXPECT_EQ(status(), WatcherStatus::Starting);
        const TimePoint asked = clock.now();
        while (hooks.asked.empty() && clock.now() < asked + 6s) {
            const auto next = arbiter->next_alarm();
            ASSERT_TRUE(next);
            pass(*next - clock.now());
        }
        ASSERT_THAT(hooks.asked, SizeIs(1));
        pauses.push_back(clock.now() - asked);
    }
    EXPECT_LT(pauses.front(), 20ms);
    EXPECT_EQ(pauses.back(), 5s) << "check_delay is the longest";
    say(HookVerdict::Ok);
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(HooksTest, AStopOvertakesAPendingBeforeStartAndItsLateAnswerChangesNothing) {
    hooked({HookPoint::BeforeStart, HookPoint::AfterStop}).autostart = false;
    boot();
    arbiter->start(at("web"), [this](const Result<OpResult>& r) { result = r; });
    arbiter->settle();
    bool stopped = false;
    arbiter->stop(at("web"), [&stopped](const Result<OpResult>& r) { stopped = bool(r); });
    arbiter->settle();
    EXPECT_TRUE(stopped) << "at once";
    ASSERT_TRUE(result);
    EXPECT_FALSE(*result) << "the start is told";
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    say(HookVerdict::Ok);
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_THAT(events.take(), IsEmpty());
}

TEST_F(HooksTest, AHookThatNeverAnswersHasFailedAtItsDeadlineAndOtherWatchersDoNotWait) {
    hooked({HookPoint::BeforeStart});
    watcher("other");
    boot();
    EXPECT_THAT(keeper.asked, SizeIs(1));
    spawn_all();
    EXPECT_EQ(at("other").status(), WatcherStatus::Active);
    pass(9900ms);
    EXPECT_EQ(status(), WatcherStatus::Starting);
    ASSERT_LE(*arbiter->next_alarm(), clock.now() + 100ms);
    pass(100ms);
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_THAT(events.payloads.back().second, HasSubstr("did not answer within 10 s"));
    say(HookVerdict::Ok);
    EXPECT_EQ(status(), WatcherStatus::Stopped) << "too late";
}

TEST_F(HooksTest, IgnoreFailureMakesAnErrorAYes) {
    auto& web = hooked({HookPoint::BeforeStart});
    web.hooks[HookPoint::BeforeStart].ignore_failure = true;
    boot();
    say(HookVerdict::Error, "gone");
    spawn_all();
    EXPECT_EQ(status(), WatcherStatus::Active);
    EXPECT_EQ(events.take(), (Texts{"hook_failure", "spawn", "start"}));
}

TEST_F(HooksTest, ARestartAsksTheStopsHooksAndThenTheStarts) {
    hooked({HookPoint::BeforeStart, HookPoint::AfterStart, HookPoint::BeforeStop, HookPoint::AfterStop});
    boot();
    say(HookVerdict::Ok);
    spawn_all();
    say(HookVerdict::Ok);
    EXPECT_EQ(status(), WatcherStatus::Active);
    arbiter->restart(at("web"), {});
    arbiter->settle();
    EXPECT_EQ(hooks.waiting(), (Texts{"before_stop"}));
    EXPECT_THAT(signals(), IsEmpty()) << "what runs goes on running";
    say(HookVerdict::Deny);
    EXPECT_EQ(signals(), (std::vector<int>{SIGTERM})) << "a no keeps nothing";
    obey();
    EXPECT_EQ(hooks.waiting(), (Texts{"after_stop"}));
    EXPECT_EQ(status(), WatcherStatus::Stopping);
    say(HookVerdict::Error);
    EXPECT_EQ(hooks.waiting(), (Texts{"before_start"}));
    say(HookVerdict::Ok);
    spawn_all();
    EXPECT_EQ(hooks.waiting(), (Texts{"after_start"}));
    say(HookVerdict::Ok);
    EXPECT_EQ(status(), WatcherStatus::Active);
}

// ---- after_start ----

TEST_F(HooksTest, AStartIsNotOverBeforeAfterStartSaysYes) {
    hooked({HookPoint::AfterStart}).autostart = false;
    boot();
    start();
    spawn_all();
    EXPECT_EQ(status(), WatcherStatus::Starting);
    EXPECT_FALSE(result);
    EXPECT_THAT(events.take(), Not(Contains("start")));
    say(HookVerdict::Ok);
    EXPECT_EQ(status(), WatcherStatus::Active);
    ASSERT_TRUE(result && *result);
    EXPECT_THAT((*result)->started, SizeIs(1));
}

TEST_F(HooksTest, ANoOfAfterStartStopsWhatWasStartedAndTheStartEndsWithIt) {
    hooked({HookPoint::AfterStart, HookPoint::BeforeStop}).autostart = false;
    boot();
    start();
    spawn_all();
    say(HookVerdict::Deny);
    EXPECT_EQ(hooks.waiting(), (Texts{"before_stop"}));
    say(HookVerdict::Ok);
    EXPECT_FALSE(result) << "it is still being stopped";
    obey();
    ASSERT_TRUE(result && *result);
    EXPECT_THAT((*result)->started, IsEmpty());
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"spawn", "hook_success", "hook_success", "kill", "reap", "stop"}));
}

// ---- before_spawn, after_spawn ----

TEST_F(HooksTest, EachSpawnAsksBeforeItAndAfterIt) {
    hooked({HookPoint::BeforeSpawn, HookPoint::AfterSpawn}, 2);
    boot();
    EXPECT_EQ(hooks.waiting(), (Texts{"before_spawn", "before_spawn"}));
    say(HookVerdict::Ok);
    EXPECT_EQ(last.args, R"({"wid":1})");
    EXPECT_THAT(keeper.asked, SizeIs(1)) << "one slot does not wait for the other's answer";
    say(HookVerdict::Ok);
    spawn_all();
    EXPECT_EQ(status(), WatcherStatus::Starting);
    say(HookVerdict::Ok);
    EXPECT_EQ(last.args, R"({"pid":1001,"wid":1})");
    say(HookVerdict::Ok);
    EXPECT_EQ(status(), WatcherStatus::Active);
    pass(2s);
    die(child("web", 1), 0);
    EXPECT_EQ(hooks.waiting(), (Texts{"before_spawn"})) << "a replacement is a spawn";
    say(HookVerdict::Ok);
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(HooksTest, ANoOfBeforeSpawnStopsTheWatcher) {
    hooked({HookPoint::BeforeSpawn}, 2);
    boot();
    say(HookVerdict::Ok);
    spawn_all();
    say(HookVerdict::Deny);
    EXPECT_EQ(status(), WatcherStatus::Stopping);
    obey();
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_THAT(events.take(), Contains("stop"));
}

TEST_F(HooksTest, RetryOfBeforeSpawnHoldsUpItsSlotOnlyAndCountsAsNoFailedSpawn) {
    hooked({HookPoint::BeforeSpawn}, 2).max_retry = 1;
    boot();
    say(HookVerdict::Retry);
    say(HookVerdict::Ok);
    spawn_all();
    EXPECT_EQ(wids("web"), (std::vector<int>{2}));
    EXPECT_THAT(hooks.asked, IsEmpty());
    pass(1s);
    EXPECT_EQ(hooks.waiting(), (Texts{"before_spawn"}));
    say(HookVerdict::Ok);
    spawn_all();
    EXPECT_EQ(wids("web"), (std::vector<int>{1, 2}));
}

TEST_F(HooksTest, AStopOvertakesAPendingBeforeSpawn) {
    hooked({HookPoint::BeforeSpawn});
    boot();
    stop();
    ASSERT_TRUE(result && *result);
    say(HookVerdict::Ok);
    EXPECT_THAT(keeper.asked, IsEmpty());
    start();
    EXPECT_THAT(hooks.asked, SizeIs(1));
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(HooksTest, ANoOfAfterSpawnStopsThatProcessAndTheWatcher) {
    hooked({HookPoint::AfterSpawn});
    boot();
    spawn_all();
    say(HookVerdict::Deny);
    EXPECT_EQ(signals(), (std::vector<int>{SIGTERM}));
    obey();
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"spawn", "hook_success", "kill", "reap", "stop"}))
        << "one reap for each spawn";
}

TEST_F(HooksTest, AReloadWhoseSpawnIsRefusedKeepsTheOldProcesses) {
    for (const HookPoint point : {HookPoint::BeforeSpawn, HookPoint::AfterSpawn}) {
        SCOPED_TRACE(to_string(point));
        config.watchers.clear();
        watcher("web", 2);
        boot_running();
        EXPECT_TRUE(
            arbiter->set_options(at("web"), {{"hooks." + std::string(to_string(point)), "lib.so:f"}}, {}));
        arbiter->settle();
        const auto before = wids("web");
        const ChildId old = child("web", 1);
        std::optional<Result<OpResult>> reloaded;
        arbiter->reload(at("web"), ReloadKind::Graceful,
                        [&reloaded](const Result<OpResult>& r) { reloaded = r; });
        arbiter->settle();
        spawn_all();
        say(HookVerdict::Ok);
        spawn_all();
        say(HookVerdict::Deny, "not today");
        ASSERT_TRUE(reloaded);
        ASSERT_FALSE(*reloaded);
        EXPECT_THAT(reloaded->error().text, HasSubstr("not today"));
        obey();
        EXPECT_EQ(wids("web"), before);
        EXPECT_EQ(child("web", 1), old);
        EXPECT_EQ(status(), WatcherStatus::Active);
        hooks.asked.clear();
    }
}

TEST_F(HooksTest, AReloadStopsNothingBeforeAfterSpawnSaidYesToEachReplacement) {
    hooked({HookPoint::AfterSpawn});
    boot();
    spawn_all();
    say(HookVerdict::Ok);
    arbiter->reload(at("web"), ReloadKind::Graceful, {});
    arbiter->settle();
    spawn_all();
    EXPECT_THAT(signals(), IsEmpty());
    EXPECT_THAT(at("web").active(), SizeIs(2));
    say(HookVerdict::Ok);
    EXPECT_EQ(signals(), (std::vector<int>{SIGTERM}));
    obey();
    EXPECT_THAT(events.take(), Contains("reload"));
}

// ---- before_stop, after_stop ----

TEST_F(HooksTest, AStopIsOverWhenAfterStopHasAnswered) {
    hooked({HookPoint::BeforeStop, HookPoint::AfterStop});
    boot_running();
    stop();
    EXPECT_EQ(status(), WatcherStatus::Stopping);
    EXPECT_THAT(signals(), IsEmpty());
    say(HookVerdict::Ok);
    obey();
    EXPECT_FALSE(result);
    EXPECT_EQ(hooks.waiting(), (Texts{"after_stop"}));
    say(HookVerdict::Deny);
    EXPECT_TRUE(result && *result);
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"hook_success", "kill", "reap", "stop", "hook_success"}));
}

TEST_F(HooksTest, AProcessThatDiesWhileBeforeStopIsAskedIsNotReplaced) {
    hooked({HookPoint::BeforeStop});
    boot_running();
    pass(2s);
    stop();
    die(child("web", 1), 0);
    EXPECT_THAT(keeper.asked, IsEmpty());
    say(HookVerdict::Ok);
    EXPECT_TRUE(result && *result);
}

TEST_F(HooksTest, AStartDuringAStopWaitsForItsHooks) {
    hooked({HookPoint::BeforeStop, HookPoint::AfterStop});
    boot_running();
    stop();
    start();
    say(HookVerdict::Ok);
    obey();
    EXPECT_THAT(keeper.asked, IsEmpty());
    say(HookVerdict::Ok);
    EXPECT_THAT(keeper.asked, SizeIs(1));
    spawn_all();
    EXPECT_TRUE(result && *result);
}

TEST_F(HooksTest, AKillIsNotHeldUpByBeforeStop) {
    hooked({HookPoint::BeforeStop});
    boot_running();
    stop();
    arbiter->kill(at("web"), {}, {});
    arbiter->settle();
    EXPECT_EQ(signals(), (std::vector<int>{SIGTERM}));
}

TEST_F(HooksTest, AQuitIsHeldUpNoLongerThanTheDeadlines) {
    hooked({HookPoint::BeforeStop, HookPoint::BeforeSignal, HookPoint::AfterStop});
    boot_running();
    arbiter->quit({});
    arbiter->settle();
    pass(10s);
    EXPECT_EQ(hooks.waiting().back(), "before_signal");
    pass(5s);  // the grace runs meanwhile, and SIGKILL is asked about as well
    pass(5s);
    EXPECT_EQ(signals(), (std::vector<int>{SIGTERM}));
    pass(5s);
    EXPECT_EQ(signals(), (std::vector<int>{SIGTERM, SIGKILL}));
    obey();
    pass(10s);
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(HooksTest, AQuitAsksNobodyAfterTheStacksStopTimeout) {
    auto& web = hooked({HookPoint::BeforeStop, HookPoint::BeforeSignal, HookPoint::AfterStop});
    for (auto& [point, hook] : web.hooks) hook.timeout = 1000;
    boot_running();
    arbiter->quit({});
    arbiter->settle();
    pass(60s);
    EXPECT_THAT(signals(), Contains(SIGKILL));
    obey();
    EXPECT_TRUE(arbiter->is_stopped());
    EXPECT_EQ(hooks.waiting(), (Texts{"before_stop"})) << "nobody else was asked";
}

TEST_F(HooksTest, AQuitKillsAlsoWhoseSigkillAHookIsAskedAbout) {
    auto& web = hooked({HookPoint::BeforeSignal});
    web.hooks[HookPoint::BeforeSignal].timeout = 1000;
    boot_running();
    arbiter->quit({});
    arbiter->settle();
    pass(5s);
    EXPECT_THAT(hooks.asked, SizeIs(2));
    EXPECT_THAT(signals(), IsEmpty());
    arbiter->quit_now();
    arbiter->settle();
    EXPECT_EQ(signals(), (std::vector<int>{SIGKILL}));
    obey();
    EXPECT_TRUE(arbiter->is_stopped());
}

// ---- before_signal, after_signal ----

TEST_F(HooksTest, ANoOfBeforeSignalKeepsTheSignalBackUntilTheGraceIsOver) {
    hooked({HookPoint::BeforeSignal, HookPoint::AfterSignal});
    boot_running();
    stop();
    EXPECT_THAT(signals(), IsEmpty());
    say(HookVerdict::Deny);
    EXPECT_EQ(last.args, R"({"pid":1001,"signum":15,"wid":1})");
    EXPECT_THAT(signals(), IsEmpty());
    EXPECT_THAT(hooks.asked, IsEmpty()) << "no after_signal of a signal that was not sent";
    EXPECT_THAT(events.take(), Not(Contains("kill")));
    pass(5s);
    EXPECT_EQ(hooks.waiting(), (Texts{"before_signal"}));
    say(HookVerdict::Deny);
    EXPECT_EQ(signals(), (std::vector<int>{SIGKILL})) << "which nothing keeps back";
    EXPECT_EQ(hooks.waiting(), (Texts{"after_signal"}));
    EXPECT_THAT(hooks.asked.front().call.args, HasSubstr(R"("signum":9)"));
}

TEST_F(HooksTest, AnErrorOfBeforeSignalKeepsNothingBack) {
    hooked({HookPoint::BeforeSignal});
    boot_running();
    SignalRequest request;
    request.signo = SIGUSR1;
    EXPECT_TRUE(arbiter->signal(at("web"), request));
    arbiter->settle();
    EXPECT_THAT(signals(), IsEmpty());
    say(HookVerdict::Error);
    EXPECT_EQ(signals(), (std::vector<int>{SIGUSR1}));
}

TEST_F(HooksTest, ASignalWhoseProcessIsGoneWhenItsHookAnswersIsSentToNobody) {
    hooked({HookPoint::BeforeSignal});
    boot_running();
    stop();
    die(child("web", 1), 0);
    EXPECT_FALSE(result) << "the hook is still asked";
    say(HookVerdict::Ok);
    EXPECT_THAT(signals(), IsEmpty());
    EXPECT_TRUE(result && *result);
}

// ---- before_reap, after_reap ----

TEST_F(HooksTest, AReplacementDoesNotWaitForTheHooksOfAReap) {
    hooked({HookPoint::BeforeReap, HookPoint::AfterReap});
    boot_running();
    pass(2s);
    die(child("web", 1), exited(3));
    EXPECT_THAT(keeper.asked, SizeIs(1));
    EXPECT_EQ(hooks.waiting(), (Texts{"before_reap"}));
    say(HookVerdict::Deny);
    EXPECT_EQ(last.args, R"({"exit_code":3,"pid":1001,"wid":1})");
    say(HookVerdict::Deny);
    EXPECT_EQ(last.hook, "after_reap");
    spawn_all();
    EXPECT_EQ(events.take(), (Texts{"reap", "hook_success", "hook_success", "spawn"}));
}

// ---- extended_stats ----

TEST_F(HooksTest, ExtendedStatsAddWhatTheHookSays) {
    hooked({HookPoint::ExtendedStats}, 2);
    boot_running();
    Json got;
    at("web").extend({{"1001", {{"cpu", 1}}}, {"1002", {{"cpu", 2}}}, {"7", "gone"}},
                     [&got](Json infos) { got = std::move(infos); });
    arbiter->settle();
    EXPECT_TRUE(got.is_null());
    EXPECT_THAT(hooks.asked.front().call.args, HasSubstr(R"("stats":{"cpu":1})"));
    say(HookVerdict::Ok, R"({"jobs": 5, "cpu": 9})");
    say(HookVerdict::Ok, std::string(100'000, '['));
    EXPECT_EQ(got, Json::parse(R"({"1001": {"cpu": 9, "jobs": 5}, "1002": {"cpu": 2}, "7": "gone"})"));
}

TEST_F(HooksTest, ExtendedStatsAreAnsweredAlsoWhenTheHookFailsOrEverythingIsKilled) {
    hooked({HookPoint::ExtendedStats});
    boot_running();
    for (const bool killed : {false, true}) {
        Json got;
        at("web").extend({{"1001", {{"cpu", 1}}}}, [&got](Json infos) { got = std::move(infos); });
        if (killed)
            arbiter->quit_now();
        else
            say(HookVerdict::Error);
        arbiter->settle();
        EXPECT_EQ(got, Json::parse(R"({"1001": {"cpu": 1}})"));
    }
}

// ---- who is asked ----

TEST_F(HooksTest, PluginsAreAskedBesideTheConfigurationsHookAndOneNoIsEnough) {
    hook_registry.add("before_start", "W*", hooks.function_of());
    hook_registry.add("before_start", "other", hooks.function_of());
    hooked({HookPoint::BeforeStart});
    boot();
    EXPECT_THAT(hooks.asked, SizeIs(2));
    say(HookVerdict::Deny, "no");
    EXPECT_EQ(status(), WatcherStatus::Starting) << "the other has not answered";
    say(HookVerdict::Ok);
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"hook_success", "hook_success"}));
}

TEST_F(HooksTest, ALibraryThatCannotBeLoadedIsAnErrorBeforeAnythingIsStarted) {
    auto& web = watcher("web");
    web.autostart = false;
    web.hooks[HookPoint::AfterStop] = {"other.so", "f", {}, 10, false};
    boot();
    const Status loaded = arbiter->load_hooks();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().text, "watcher web: hooks.after_stop: other.so: cannot open shared object file");
    web.hooks[HookPoint::AfterStop].place = "stack.toml:7:1";
    config::WatcherConfig added = web;
    added.name = "added";
    EXPECT_EQ(arbiter->add(added).error().text,
              "stack.toml:7:1: watcher added: hooks.after_stop: other.so: cannot open shared object file");
    EXPECT_FALSE(arbiter->add(added));
    EXPECT_FALSE(arbiter->set_options(at("web"), {{"hooks.before_stop", "third.so:f"}}, {}));
    EXPECT_TRUE(arbiter->set_options(at("web"), {{"max_retry", 3}}, {})) << "that has nothing to do with it";
}

TEST_F(HooksTest, AChangedHookIsAskedTheNextTime) {
    hooked({HookPoint::BeforeStart});
    boot();
    say(HookVerdict::Ok);
    spawn_all();
    EXPECT_TRUE(arbiter->set_options(at("web"), {{"hooks", Json::object()}}, {}));
    arbiter->settle();
    EXPECT_THAT(signals(), IsEmpty()) << "live";
    arbiter->restart(at("web"), {});
    arbiter->settle();
    obey();
    EXPECT_THAT(hooks.asked, IsEmpty());
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(HooksTest, OneWhoseWatcherIsGoneMayAnswerStill) {
    hooked({HookPoint::AfterStop});
    boot_running();
    arbiter->remove(at("web"), false, {});
    arbiter->settle();
    obey();
    pass(10s);
    EXPECT_TRUE(arbiter->watchers().empty());
    say(HookVerdict::Ok);
    arbiter.reset();
}

// ---- commands ----

struct CommandHooksTest : HooksTest {
    void with_command(HookPoint point, double timeout = 10, int numprocesses = 1) {
        auto& web = hooked({}, numprocesses);
        web.hooks[point] = {{}, {}, "/bin/check $(circus.wid) $(circus.name)", timeout, false};
        web.env = {{"COLOUR", "red"}};
        web.working_dir = "/usr";
    }
    ChildId asked() { return keeper.asked.empty() ? 0 : keeper.asked.front(); }
    // The command that was asked for runs and ends.
    void end_command(int wait_status) {
        const ChildId id = asked();
        keeper.asked.erase(keeper.asked.begin());
        arbiter->on_spawned(id, 5000, UniqueFd());
        arbiter->settle();
        die(id, wait_status);
    }
};

TEST_F(CommandHooksTest, ACommandRunsInTheWatchersSurroundingsAndSaysYesByZero) {
    with_command(HookPoint::BeforeStart);
    boot();
    const keeper::SpawnRequest request = keeper.requests[asked()];
    EXPECT_THAT(request.argv, ElementsAre("/bin/check", "0", "web"));
    EXPECT_THAT(request.envp,
                testing::IsSupersetOf({"COLOUR=red", "CIRCUS_HOOK=before_start", "CIRCUS_WATCHER=web"}));
    EXPECT_THAT(request.envp, Not(Contains(testing::StartsWith("CIRCUS_PID="))));
    EXPECT_EQ(request.working_dir, "/usr");
    EXPECT_TRUE(request.kill_tree);
    end_command(0);
    spawn_all();
    EXPECT_EQ(status(), WatcherStatus::Active);
    EXPECT_EQ(events.take(), (Texts{"hook_success", "spawn", "start"}))
        << "nobody hears of the command's own spawn";
}

TEST_F(CommandHooksTest, ItsExitCodeIsItsAnswer) {
    with_command(HookPoint::BeforeStart);
    boot();
    end_command(exited(75));
    EXPECT_EQ(status(), WatcherStatus::Starting);
    pass(1s);
    end_command(exited(1));
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    start();
    end_command(SIGSEGV);
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"hook_failure", "hook_success", "hook_failure"}));
    EXPECT_THAT(events.payloads.back().second, HasSubstr("was ended by SIGSEGV"));
}

TEST_F(CommandHooksTest, OneThatCannotBeRunIsAnErrorThatNamesTheStage) {
    with_command(HookPoint::BeforeStart);
    boot();
    fail_all(ENOENT);
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_THAT(events.payloads.back().second, HasSubstr("cannot be run: exec: No such file"));
}

TEST_F(CommandHooksTest, WithIgnoreFailureWhateverItExitsWithIsAYes) {
    with_command(HookPoint::BeforeStart);
    config.watchers.back().hooks[HookPoint::BeforeStart].ignore_failure = true;
    boot();
    end_command(exited(1));
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(CommandHooksTest, OneThatHangsIsKilledWithAllItStartedAtItsDeadline) {
    with_command(HookPoint::BeforeStart, 3);
    boot();
    const ChildId id = asked();
    spawn_all();
    pass(3s);
    ASSERT_THAT(keeper.sent, SizeIs(1));
    EXPECT_EQ(keeper.sent[0].id, id);
    EXPECT_EQ(keeper.sent[0].signo, SIGKILL);
    EXPECT_EQ(keeper.sent[0].scope, keeper::Scope::Tree);
    EXPECT_EQ(status(), WatcherStatus::Stopping) << "it is not gone yet";
    obey();
    EXPECT_EQ(status(), WatcherStatus::Stopped);
    EXPECT_EQ(events.take(), (Texts{"hook_failure"}));
}

TEST_F(CommandHooksTest, AStopKillsThePendingCommandAndIsOverWhenItIsGone) {
    with_command(HookPoint::BeforeStart);
    boot();
    spawn_all();
    stop();
    EXPECT_FALSE(result);
    EXPECT_EQ(signals(), (std::vector<int>{SIGKILL}));
    obey();
    EXPECT_TRUE(result && *result);
    EXPECT_THAT(events.take(), IsEmpty());
}

TEST_F(CommandHooksTest, ACommandIsNoWorker) {
    with_command(HookPoint::AfterStart);
    boot();
    spawn_all();
    EXPECT_THAT(at("web").active(), SizeIs(1));
    EXPECT_THAT(arbiter->all_processes(), SizeIs(2)) << "but somebody's child";
    EXPECT_EQ(at("web").find_pid(1002), nullptr);
}

TEST_F(CommandHooksTest, NoMoreThanSixteenRunAtATime) {
    with_command(HookPoint::BeforeSpawn, 10, 20);
    boot();
    EXPECT_THAT(keeper.asked, SizeIs(16));
    end_command(0);
    EXPECT_THAT(keeper.asked, SizeIs(16 + 1)) << "the next command, and the worker of the first";
    EXPECT_EQ(keeper.requests[keeper.asked.back()].argv.front(), "/bin/program");
}

TEST_F(CommandHooksTest, ItIsToldWhatThePointKnows) {
    with_command(HookPoint::AfterReap);
    boot_running();
    pass(2s);
    die(child("web", 1), SIGSEGV);
    EXPECT_THAT(keeper.requests[asked()].envp,
                testing::IsSupersetOf(
                    {"CIRCUS_HOOK=after_reap", "CIRCUS_PID=1001", "CIRCUS_WID=1", "CIRCUS_EXIT_CODE=-11"}));
}

}  // namespace
}  // namespace circus::supervise
