// watchdog on the fake host, heartbeats by a real UDP socket.
#include <regex>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

#include "udp_receiver.hpp"
#include "watchdog/pattern.hpp"

namespace circus {
namespace {

using std::chrono::seconds;
using testing::FakeHost;
using Pids = std::vector<int>;

struct WatchdogTest : ::testing::Test {
    void start(Json options = Json::object()) {
        if (!options.contains("port")) options["port"] = 0;
        options["loop_rate"] = 1;
        ASSERT_EQ(host.start(options), CIRCUS_OK) << host.error();
        for (const auto& line : host.take_lines()) {
            std::smatch found;
            if (std::regex_search(line.text, found, std::regex("port ([0-9]+)"))) port = std::stoi(found[1]);
        }
        EXPECT_EQ(host.take_calls().at(0).command, "list");
        host.reply(CIRCUS_OK, {{"watchers", Json::array()}});
    }
    void spawn(int pid, const std::string& name = "web") {
        host.emit("watcher.x.spawn", {{"watcher", name}, {"process_pid", pid}});
    }
    void beat(const std::string& text) { client.send(text, port); }
    // Who is killed in that time.
    Pids pass(int count) {
        host.advance(seconds(count));
        Pids killed;
        for (const auto& call : host.take_calls()) {
            EXPECT_EQ(call.command, "kill");
            killed.push_back(call.properties.at("pid"));
            last = call.properties;
        }
        return killed;
    }
    UdpReceiver client;
    FakeHost host;
    int port = 0;
    Json last;
};

TEST_F(WatchdogTest, AWorkerThatIsSilentForThreeLooksIsKilled) {
    start();
    spawn(7);
    EXPECT_EQ(pass(2), Pids{});
    EXPECT_EQ(pass(1), Pids{7});
    EXPECT_EQ(last, Json({{"name", "web"}, {"pid", 7}, {"waiting", true}}));
}

TEST_F(WatchdogTest, AHeartbeatGivesItAnotherThree) {
    start();
    spawn(7);
    for (int i = 0; i < 5; ++i) {
        beat("7;1234.5\n");
        EXPECT_EQ(pass(2), Pids{}) << i;
    }
    EXPECT_EQ(pass(3), Pids{7});
}

TEST_F(WatchdogTest, WhatIsNoHeartbeatOfAWorkerChangesNothing) {
    start();
    spawn(7);
    for (int i = 0; i < 2; ++i) pass(1);
    for (const char* text : {"", "7", "8;1", "7x;1", "99999999999999999999;1", "\xff\xfe;1", ";"}) beat(text);
    EXPECT_EQ(pass(1), Pids{7});
}

TEST_F(WatchdogTest, WhileItsKillIsUnderWayItIsNotKilledAgain) {
    start();
    spawn(7);
    EXPECT_EQ(pass(3), Pids{7});
    EXPECT_EQ(pass(10), Pids{});
}

TEST_F(WatchdogTest, OneThatOutlivesItsKillHasAnotherChance) {
    start();
    spawn(7);
    EXPECT_EQ(pass(3), Pids{7});
    host.reply(CIRCUS_E_INVALID, {{"reason", "vetoed"}});
    EXPECT_EQ(pass(2), Pids{});
    EXPECT_EQ(pass(1), Pids{7});
}

TEST_F(WatchdogTest, AReapedWorkerIsForgotten) {
    start();
    spawn(7);
    host.emit("watcher.x.reap", {{"watcher", "web"}, {"process_pid", 7}});
    EXPECT_EQ(pass(10), Pids{});
}

TEST_F(WatchdogTest, OnlyWatchersThatMatchAreWatched) {
    start({{"watchers_regex", "web"}});
    spawn(7, "Web-1");
    spawn(8, "db");
    spawn(9, "my web");
    spawn(10, "plugin:web");
    EXPECT_EQ(pass(3), Pids{7});
}

TEST_F(WatchdogTest, WorkersThatRunAtTheStartAreFound) {
    ASSERT_EQ(host.start({{"port", 0}, {"loop_rate", 1}}), CIRCUS_OK);
    host.reply(CIRCUS_OK, {{"watchers", {"web", "gone"}}});
    host.reply(CIRCUS_OK, {{"pids", {7, 8}}});
    host.reply(CIRCUS_E_INVALID, {{"reason", "program gone not found"}});
    host.take_calls();
    EXPECT_EQ(pass(3), (Pids{7, 8}));
}

TEST_F(WatchdogTest, SignalAndGraceMayBeOverridden) {
    start({{"watchers_stop_signal", "SIGKILL"}, {"watchers_graceful_timeout", 0.5}, {"max_count", 1}});
    spawn(7);
    EXPECT_EQ(pass(1), Pids{7});
    EXPECT_EQ(last.at("signum"), 9);
    EXPECT_EQ(last.at("graceful_timeout"), 0.5);
}

TEST_F(WatchdogTest, TheFormOfAHeartbeatIsConfigured) {
    start({{"msg_regex", R"(alive (?:pid=)?(?P<pid>\d+))"}});
    spawn(7);
    pass(2);
    beat("alive pid=7 and well");
    EXPECT_EQ(pass(2), Pids{});
}

TEST_F(WatchdogTest, AFloodHoldsNobodyUp) {
    start();
    spawn(7);
    pass(2);
    for (int i = 0; i < 5000; ++i) beat("nonsense");
    EXPECT_EQ(pass(1), Pids{7});
}

TEST_F(WatchdogTest, ItNeedsDescriptors) {
    host.withhold(CIRCUS_EXT_FDS);
    EXPECT_EQ(host.start({{"port", 0}}), CIRCUS_E_UNSUPPORTED);
}

TEST(WatchdogOptions, WhatMakesNoSenseIsRefusedByName) {
    UdpReceiver taken;
    const std::pair<Json, std::string> wrong[] = {
        {{{"ip", "localhost"}},
         "the option \"ip\" is \"localhost\": no address; write one as 127.0.0.1 or ::1"},
        {{{"watchers_regex", "("}}, "the option \"watchers_regex\" is \"(\": "},
        {{{"msg_regex", "(.*)"}}, "the option \"msg_regex\" is \"(.*)\": it has no group (?P<pid>…)"},
        {{{"msg_regex", "(?i)x"}}, "the option \"msg_regex\" is \"(?i)x\": \"(?i)\" is not known here"},
        {{{"watchers_stop_signal", "HUPP"}}, "the option \"watchers_stop_signal\" is \"HUPP\": no signal"},
        {{{"port", taken.port()}},
         "cannot listen on 127.0.0.1 port " + std::to_string(taken.port()) + ": Address already in use"}};
    for (const auto& [options, why] : wrong) {
        FakeHost host;
        EXPECT_LT(host.start(options), 0);
        EXPECT_EQ(host.error().substr(0, why.size()), why);
    }
}

TEST(WatchdogPattern, NamedGroupsAreThosePythonMeans) {
    const watchdog::Pattern pattern(R"(\((?P<a>[(\]?P<x>]+)([^]]*)\] (?P<pid>\d+)$)");
    std::string out;
    ASSERT_TRUE(pattern.group("((?P]x] 42", "pid", out));
    EXPECT_EQ(out, "42");
    EXPECT_FALSE(pattern.has_group("x"));
}

}  // namespace
}  // namespace circus
