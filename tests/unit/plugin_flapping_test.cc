// flapping on the fake host: what counts as flapping, and whose word goes.
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

namespace circus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeHost;

struct FlappingTest : ::testing::Test {
    FlappingTest() { settings = {{"numprocesses", 1}, {"respawn", true}}; }

    void spawn(int wid = 1) {
        pids[wid] = ++last_pid;
        host.emit("watcher.web.spawn", event(wid));
    }
    void reap(int wid) { host.emit("watcher.web.reap", event(wid)); }
    // A death nobody asked for, after `life`; the plugin's question about options is answered, and a new
    // process takes the place after `pause` unless the watcher is stopped.
    void die(int wid = 1, milliseconds life = milliseconds(100), milliseconds pause = milliseconds(10)) {
        host.advance(life);
        reap(wid);
        answer_options();
        if (is_stopped()) return;
        host.advance(pause);
        spawn(wid);
    }
    Json event(int wid) const {
        return {{"watcher", "Web"}, {"process_pid", pids.at(wid)}, {"wid", wid}, {"exit_code", 1}};
    }
    void operation(const std::string& what) { host.emit("operation.web." + what, {{"watcher", "Web"}}); }
    void answer_options() {
        for (auto made = host.take_calls(); !made.empty(); made = host.take_calls())
            for (const auto& call : made) {
                if (call.command == "options")
                    host.reply_to("options", CIRCUS_OK, {{"options", settings}});
                else
                    calls.push_back(call);
            }
    }
    bool is_stopped() const { return !calls.empty() && calls.back().command == "stop"; }
    // The stop that the plugin called is carried out.
    void finish_stop() {
        ASSERT_TRUE(is_stopped());
        EXPECT_EQ(calls.back().properties, Json({{"name", "Web"}, {"match", "simple"}, {"waiting", true}}));
        operation("stop");
        host.reply(CIRCUS_OK);
        calls.clear();
    }
    void flap_until_stopped() {
        spawn();
        for (int i = 0; i < 10 && !is_stopped(); ++i) die();
        finish_stop();
    }
    std::vector<std::string> commands() {
        answer_options();
        std::vector<std::string> names;
        for (const auto& call : std::exchange(calls, {})) names.push_back(call.command);
        return names;
    }
    using Texts = std::vector<std::string>;

    FakeHost host;
    Json settings;
    std::map<int, int> pids;
    int last_pid = 100;
    std::vector<FakeHost::Call> calls;
};

TEST_F(FlappingTest, TwoDeathsWithinASecondOfRunningStopTheWatcherAndSevenSecondsLaterItIsStarted) {
    host.start();
    spawn();
    die();
    EXPECT_FALSE(is_stopped());
    die();
    EXPECT_TRUE(is_stopped());
    finish_stop();
    host.advance(milliseconds(6999));
    EXPECT_EQ(commands(), Texts{});
    host.advance(milliseconds(1));
    EXPECT_EQ(commands(), Texts{"start"});
}

TEST_F(FlappingTest, APauseOfTheBackOffBetweenTwoDeathsHidesNothing) {
    host.start({{"attempts", 4}});
    spawn();
    for (int i = 0; i < 4; ++i) die(1, milliseconds(200), milliseconds(4000));
    EXPECT_TRUE(is_stopped());
}

TEST_F(FlappingTest, LivesLongerThanTheWindowAreNoFlapping) {
    host.start();
    spawn();
    for (int i = 0; i < 20; ++i) die(1, milliseconds(1001));
    EXPECT_FALSE(is_stopped());
}

TEST_F(FlappingTest, AnExitThatCircusdAskedForDoesNotCount) {
    host.start();
    spawn();
    for (int i = 0; i < 10; ++i) {
        host.emit("watcher.web.kill", event(1));
        die();
    }
    EXPECT_FALSE(is_stopped());
}

TEST_F(FlappingTest, AKillOfAChildIsNotOneOfTheWorker) {
    host.start();
    spawn();
    for (int i = 0; i < 2; ++i) {
        host.emit("watcher.web.kill", {{"watcher", "Web"}, {"process_pid", 99999}});
        die();
    }
    EXPECT_TRUE(is_stopped());
}

TEST_F(FlappingTest, HealthySiblingsAreNotStoppedForOneSlot) {
    settings["numprocesses"] = 2;
    host.start();
    spawn(1);
    spawn(2);
    for (int i = 0; i < 20; ++i) die(2);
    EXPECT_FALSE(is_stopped());
    const auto published = host.take_published();
    ASSERT_EQ(published.size(), 1u);  // once, not for each death
    EXPECT_EQ(published[0].topic, "watcher.web.flapping");
    EXPECT_EQ(published[0].payload, Json({{"watcher", "Web"}, {"state", "slots"}, {"wids", {2}}}));
}

TEST_F(FlappingTest, OnTheWayToAStopTheSlotsAreNotTold) {
    settings["numprocesses"] = 2;
    host.start();
    spawn(1);
    spawn(2);
    for (int i = 0; i < 2; ++i) die(1);
    for (int i = 0; i < 2 && !is_stopped(); ++i) die(2);
    const auto published = host.take_published();
    ASSERT_EQ(published.size(), 1u);
    EXPECT_EQ(published[0].payload,
              Json({{"watcher", "Web"}, {"state", "retry"}, {"retry", 1}, {"retry_in", 7}}));
}

TEST_F(FlappingTest, ASlotThatHasNotSpawnedYetIsNotJudged) {
    settings["numprocesses"] = 2;
    host.start();
    spawn(1);
    for (int i = 0; i < 5; ++i) die(1);
    EXPECT_FALSE(is_stopped());
}

TEST_F(FlappingTest, WhenEverySlotFlapsTheWatcherIsStopped) {
    settings["numprocesses"] = 2;
    host.start();
    spawn(1);
    spawn(2);
    for (int i = 0; i < 2; ++i) die(1);
    EXPECT_FALSE(is_stopped());
    for (int i = 0; i < 2 && !is_stopped(); ++i) die(2);
    EXPECT_TRUE(is_stopped());
}

TEST_F(FlappingTest, ASlotThatRecoveredIsHealthyAgain) {
    settings["numprocesses"] = 2;
    host.start();
    spawn(1);
    spawn(2);
    for (int i = 0; i < 2; ++i) die(1);
    host.advance(seconds(2));  // the third process of slot 1 lives
    for (int i = 0; i < 5; ++i) die(2, milliseconds(50));
    EXPECT_FALSE(is_stopped());
}

TEST_F(FlappingTest, AGracefulReloadsOldProcessIsNotTheSlotsNewOne) {
    host.start();
    spawn();
    const Json old = event(1);
    host.advance(seconds(5));
    spawn();  // the new one shares the wid
    host.emit("watcher.web.kill", old);
    host.emit("watcher.web.reap", old);
    EXPECT_EQ(commands(), Texts{});
    die();
    EXPECT_FALSE(is_stopped());
    die();
    EXPECT_TRUE(is_stopped());
}

TEST_F(FlappingTest, AfterMaxRetryStartsItStaysStopped) {
    host.start({{"max_retry", 2}});
    for (int i = 0; i < 2; ++i) {
        flap_until_stopped();
        host.advance(seconds(7));
        EXPECT_EQ(commands(), Texts{"start"});
        operation("start");
        host.reply(CIRCUS_OK);
    }
    host.take_published();
    flap_until_stopped();
    EXPECT_EQ(host.take_published().at(0).payload.at("state"), "stopped");
    host.advance(seconds(100));
    EXPECT_EQ(commands(), Texts{});
}

TEST_F(FlappingTest, MinusOneRetriesForEver) {
    host.start({{"max_retry", -1}});
    for (int i = 0; i < 30; ++i) {
        flap_until_stopped();
        host.advance(seconds(7));
        ASSERT_EQ(commands(), Texts{"start"}) << i;
        operation("start");
        host.reply(CIRCUS_OK);
    }
}

TEST_F(FlappingTest, ALongLifeGivesBackTheRetries) {
    host.start({{"max_retry", 1}});
    for (int i = 0; i < 3; ++i) {
        flap_until_stopped();
        host.advance(seconds(7));
        ASSERT_EQ(commands(), Texts{"start"}) << i;
        operation("start");
        host.reply(CIRCUS_OK);
        spawn();
        host.advance(seconds(60));
        reap(1);
    }
}

TEST_F(FlappingTest, AManualStopEndsThePendingRetryAlsoWhenTheWatcherIsDown) {
    host.start();
    flap_until_stopped();
    operation("stop");
    host.advance(seconds(100));
    EXPECT_EQ(commands(), Texts{});
}

TEST_F(FlappingTest, AManualStartEndsThePendingRetryAndTheCount) {
    host.start({{"max_retry", 1}});
    flap_until_stopped();
    operation("start");
    host.advance(seconds(100));
    EXPECT_EQ(commands(), Texts{});
    flap_until_stopped();
    host.advance(seconds(7));
    EXPECT_EQ(commands(), Texts{"start"});
}

TEST_F(FlappingTest, AManualStopDuringItsOwnWinsWhicheverIsHeardFirst) {
    host.start();
    spawn();
    for (int i = 0; i < 2; ++i) die();
    ASSERT_TRUE(is_stopped());
    operation("stop");
    operation("stop");
    host.reply(CIRCUS_OK);
    calls.clear();
    host.advance(seconds(100));
    EXPECT_EQ(commands(), Texts{});
}

TEST_F(FlappingTest, AnAnswerThatComesBeforeItsEventIsStillItsOwn) {
    host.start();
    spawn();
    for (int i = 0; i < 2; ++i) die();
    host.reply(CIRCUS_OK);
    operation("stop");
    calls.clear();
    host.advance(seconds(7));
    EXPECT_EQ(commands(), Texts{"start"});
}

TEST_F(FlappingTest, AStopThatIsRefusedLeavesNothingPending) {
    host.start();
    spawn();
    for (int i = 0; i < 2; ++i) die();
    calls.clear();
    host.reply(CIRCUS_E_INVALID, {{"reason", "no"}});
    host.advance(seconds(100));
    EXPECT_EQ(commands(), Texts{});
    operation("stop");  // an operator's, not its own
    for (int i = 0; i < 2; ++i) {
        spawn();
        host.advance(milliseconds(10));
        reap(1);
    }
    EXPECT_EQ(commands(), (Texts{"stop"}));
}

TEST_F(FlappingTest, AWatcherOverridesWhatItWants) {
    settings["flapping.attempts"] = 4;
    settings["flapping.retry_in"] = 0.5;
    host.start();
    spawn();
    for (int i = 0; i < 3; ++i) die();
    EXPECT_FALSE(is_stopped());
    die();
    finish_stop();
    host.advance(milliseconds(500));
    EXPECT_EQ(commands(), Texts{"start"});
}

TEST_F(FlappingTest, InactiveOrWithoutRespawnOrOnDemandItIsLeftAlone) {
    host.start();
    for (const Json& setting :
         {Json({{"flapping.active", false}}), Json({{"respawn", false}}), Json({{"on_demand", true}})}) {
        settings = {{"numprocesses", 1}};
        settings.update(setting);
        spawn();
        for (int i = 0; i < 5; ++i) die();
        EXPECT_FALSE(is_stopped()) << setting;
    }
}

TEST_F(FlappingTest, ManyDeathsAtOnceAskForTheOptionsOnce) {
    settings["numprocesses"] = 50;
    host.start();
    for (int wid = 1; wid <= 50; ++wid) spawn(wid);
    for (int wid = 1; wid <= 50; ++wid) reap(wid);
    EXPECT_EQ(host.take_calls().size(), 1u);
    host.reply(CIRCUS_OK, {{"options", settings}});
    EXPECT_EQ(host.take_calls().size(), 1u);  // for those that came meanwhile
    host.reply(CIRCUS_OK, {{"options", settings}});
    EXPECT_EQ(host.take_calls().size(), 0u);
}

TEST_F(FlappingTest, ARemovedWatcherIsForgotten) {
    host.start();
    flap_until_stopped();
    host.emit("watcher.web.remove", {{"watcher", "Web"}});
    host.advance(seconds(100));
    EXPECT_EQ(commands(), Texts{});
}

TEST_F(FlappingTest, NewOptionsApplyAndAPendingRetryStays) {
    host.start();
    flap_until_stopped();
    EXPECT_EQ(host.reconfigure({{"attempts", 3}}), CIRCUS_OK);
    host.advance(seconds(7));
    EXPECT_EQ(commands(), Texts{"start"});
    operation("start");
    host.reply(CIRCUS_OK);
    spawn();
    for (int i = 0; i < 2; ++i) die();
    EXPECT_FALSE(is_stopped());
    die();
    EXPECT_TRUE(is_stopped());
}

TEST_F(FlappingTest, StoppedWithAWatcherAtRestItSaysSo) {
    host.start();
    flap_until_stopped();
    host.take_lines();
    host.stop();
    const auto lines = host.take_lines();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].level, CIRCUS_WARNING);
}

TEST_F(FlappingTest, CircusdsOwnWatchersAreNotItsBusiness) {
    host.start();
    for (int i = 0; i < 5; ++i) {
        host.emit("watcher.plugin:x.spawn", {{"watcher", "plugin:x"}, {"process_pid", 5}, {"wid", 1}});
        host.emit("watcher.plugin:x.reap", {{"watcher", "plugin:x"}, {"process_pid", 5}, {"wid", 1}});
    }
    EXPECT_EQ(commands(), Texts{});
}

}  // namespace
}  // namespace circus
