// resource_watcher on the fake host: who is replaced, and when.
#include <csignal>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>
#include <circus/values.hpp>

namespace circus {
namespace {

using std::chrono::seconds;
using testing::FakeHost;

struct ResourceWatcherTest : ::testing::Test {
    Json process(int pid, double cpu, double mem, const std::string& rss = "1.00M") const {
        return {{"pid", pid},
                {"cpu", cpu},
                {"mem", mem},
                {"mem_info1", rss},
                {"create_time", 1000.0 + pid},
                {"children", Json::array()}};
    }
    void start(Json options) {
        options["watcher"] = "web";
        options["loop_rate"] = 1;
        ASSERT_EQ(host.start(options), CIRCUS_OK) << host.error();
    }
    // One look that finds these; the calls that follow.
    std::vector<FakeHost::Call> look(const std::vector<Json>& processes) {
        host.advance(seconds(1));
        const auto asked = host.take_calls();
        EXPECT_EQ(asked.size(), 1u);
        EXPECT_EQ(asked.at(0).command, "stats");
        Json info = Json::object();
        for (const Json& each : processes) info[each["pid"].dump()] = each;
        host.reply_to("stats", CIRCUS_OK, {{"info", info}});
        return host.take_calls();
    }
    std::vector<FakeHost::Call> looks(int count, const std::vector<Json>& processes) {
        std::vector<FakeHost::Call> calls;
        for (int i = 0; i < count; ++i)
            for (auto& call : look(processes)) calls.push_back(std::move(call));
        return calls;
    }
    FakeHost host;
};

TEST_F(ResourceWatcherTest, OnlyTheProcessThatUsesTooMuchIsReplacedAtTheFourthLook) {
    start({{"max_cpu", 50}});
    const std::vector<Json> now{process(7, 10, 1), process(8, 80, 1)};
    EXPECT_TRUE(looks(4, now).empty());  // the first one knows no cpu yet
    const auto calls = look(now);
    ASSERT_EQ(calls.size(), 1u);
    EXPECT_EQ(calls[0].command, "kill");
    EXPECT_EQ(calls[0].properties, Json({{"name", "web"}, {"pid", 8}, {"waiting", true}}));
}

TEST_F(ResourceWatcherTest, ALookWithinTheLimitStartsTheCountAnew) {
    start({{"max_mem", 50}});
    EXPECT_TRUE(looks(3, {process(7, 0, 60)}).empty());
    EXPECT_TRUE(look({process(7, 0, 40)}).empty());
    EXPECT_TRUE(looks(3, {process(7, 0, 60)}).empty());
    EXPECT_EQ(look({process(7, 0, 60)}).size(), 1u);
}

TEST_F(ResourceWatcherTest, WhileItsKillIsUnderWayAProcessIsNotKilledAgain) {
    start({{"max_mem", 50}, {"max_count", 0}});
    EXPECT_EQ(look({process(7, 0, 60)}).size(), 1u);
    EXPECT_TRUE(looks(5, {process(7, 0, 60)}).empty());
}

TEST_F(ResourceWatcherTest, AProcessThatOutlivesItsKillIsJudgedAnew) {
    start({{"max_mem", 50}, {"max_count", 0}});
    EXPECT_EQ(look({process(7, 0, 60)}).size(), 1u);
    host.reply_to("kill", CIRCUS_OK);
    EXPECT_EQ(look({process(7, 0, 60)}).size(), 1u);
}

TEST_F(ResourceWatcherTest, MemoryIsPerCentOrAnAmount) {
    start({{"max_mem", "100M"}, {"max_count", 0}});
    EXPECT_TRUE(look({process(7, 0, 99, "99.99M")}).empty());
    EXPECT_EQ(look({process(8, 0, 1, "1.20G")}).size(), 1u);
}

TEST_F(ResourceWatcherTest, AnAmountMayStandBesideAPerCent) {
    start({{"max_mem", 50}, {"max_mem_abs", "100M"}, {"max_count", 0}});
    EXPECT_EQ(look({process(7, 0, 1, "101M")}).size(), 1u);
    EXPECT_EQ(host.take_calls().size(), 0u);
}

TEST_F(ResourceWatcherTest, TooLittleIsAFaultAsWell) {
    start({{"min_mem", "10M"}, {"max_count", 0}});
    EXPECT_TRUE(look({process(7, 0, 1, "10.00M")}).empty());
    EXPECT_EQ(look({process(8, 0, 1, "9.99M")}).size(), 1u);
}

TEST_F(ResourceWatcherTest, IdleIsJudgedFromTheSecondLookOn) {
    start({{"min_cpu", 0}, {"max_count", 0}});
    EXPECT_TRUE(look({process(7, 0, 1)}).empty());
    EXPECT_EQ(look({process(7, 0, 1)}).size(), 1u);
}

TEST_F(ResourceWatcherTest, TheHealthThresholdIsOfTheMean) {
    start({{"max_cpu", 0}, {"max_mem", 0}, {"max_count", 0}});
    EXPECT_TRUE(looks(2, {process(7, 80, 70)}).empty());
    EXPECT_EQ(look({process(7, 80, 71)}).size(), 1u);
}

TEST_F(ResourceWatcherTest, WhatIsNotKnownIsNoFault) {
    start({{"min_cpu", 0}, {"max_count", 0}});
    Json hidden = process(7, 0, 1);
    hidden["cpu"] = hidden["mem"] = hidden["mem_info1"] = "N/A";
    EXPECT_TRUE(looks(3, {hidden}).empty());
    EXPECT_TRUE(look({}).empty());
}

TEST_F(ResourceWatcherTest, APidThatChangedHandsBeginsAnew) {
    start({{"max_mem", 50}});
    looks(3, {process(7, 0, 60)});
    Json other = process(7, 0, 60);
    other["create_time"] = 5000.0;
    EXPECT_TRUE(looks(3, {other}).empty());
    EXPECT_EQ(look({other}).size(), 1u);
}

TEST_F(ResourceWatcherTest, OfAWatchersSumTheWorstProcessIsReplaced) {
    start({{"per", "watcher"}, {"max_mem", 50}, {"max_count", 1}});
    const std::vector<Json> now{process(7, 0, 10, "10M"), process(8, 0, 30, "30M"), process(9, 0, 15, "15M")};
    EXPECT_TRUE(look(now).empty());
    const auto calls = look(now);
    ASSERT_EQ(calls.size(), 1u);
    EXPECT_EQ(calls[0].properties.at("pid"), 8);
}

TEST_F(ResourceWatcherTest, AChildAtFaultGetsASignalOfItsOwn) {
    start({{"process_children", true}, {"max_mem", 50}, {"max_count", 1}, {"child_signal", "usr1"}});
    Json parent = process(7, 0, 1);
    parent["children"] = {process(70, 0, 60), "No such process (stopped?)"};
    EXPECT_TRUE(look({parent}).empty());
    const auto calls = look({parent});
    ASSERT_EQ(calls.size(), 1u);
    EXPECT_EQ(calls[0].command, "signal");
    EXPECT_EQ(calls[0].properties,
              Json({{"name", "web"}, {"pid", 7}, {"childpid", 70}, {"signum", SIGUSR1}}));
}

TEST_F(ResourceWatcherTest, AnErrorIsLoggedOnce) {
    start(Json::object());
    for (int i = 0; i < 3; ++i) {
        host.advance(seconds(1));
        host.reply(CIRCUS_E_INVALID, {{"reason", "program web not found"}});
    }
    EXPECT_EQ(host.take_lines().size(), 1u);
}

TEST_F(ResourceWatcherTest, WhileAnAnswerIsOutstandingNothingIsAsked) {
    start(Json::object());
    host.advance(seconds(10));
    EXPECT_EQ(host.take_calls().size(), 1u);
}

TEST(ResourceWatcherOptions, WhatMakesNoSenseIsRefusedByName) {
    const std::pair<Json, const char*> wrong[] = {
        {Json::object(), "the option \"watcher\" is missing: whose processes to look at"},
        {{{"watcher", "w"}, {"max_mem", "lots"}},
         "the option \"max_mem\" is \"lots\": neither per cent nor an amount as \"10M\""},
        {{{"watcher", "w"}, {"min_mem_abs", "-1"}},
         "the option \"min_mem_abs\" is \"-1\": no amount; write bytes or \"10M\""},
        {{{"watcher", "w"}, {"child_signal", "SIGNONE"}},
         "the option \"child_signal\" is \"SIGNONE\": no signal; write 15 or \"SIGTERM\""}};
    for (const auto& [options, why] : wrong) {
        FakeHost host;
        EXPECT_EQ(host.start(options), CIRCUS_E_INVALID);
        EXPECT_EQ(host.error(), why);
    }
}

TEST(Values, BytesHaveUnitsOf1024) {
    const std::pair<const char*, double> good[] = {
        {"512", 512}, {"1023B", 1023}, {"10M", 10 * 1048576.0}, {"1.5k", 1536}, {"2GB", 2147483648.0}};
    for (const auto& [text, bytes] : good) EXPECT_EQ(bytes_of(std::string_view(text)), bytes) << text;
    for (const char* text : {"", "M", "-1", "10X", "1MM", "nan", "inf", "1 M"})
        EXPECT_EQ(bytes_of(std::string_view(text)), std::nullopt) << text;
    EXPECT_EQ(bytes_of(Json(7)), 7.0);
    EXPECT_EQ(bytes_of(Json(true)), std::nullopt);
}

TEST(Values, ASignalIsANameOrANumber) {
    for (const Json& text : {Json(15), Json("15"), Json("TERM"), Json("SIGTERM"), Json("sigterm")})
        EXPECT_EQ(signal_of(text), SIGTERM) << text;
    for (const Json& text : {Json(0), Json(65), Json("SIG"), Json("TERMX"), Json(""), Json(1.5)})
        EXPECT_EQ(signal_of(text), std::nullopt) << text;
}

TEST(Values, APeriodIsNeverZero) {
    EXPECT_EQ(period_of(0), std::chrono::milliseconds(1));
    EXPECT_EQ(period_of(0.25), std::chrono::milliseconds(250));
    EXPECT_EQ(period_of(1e300), std::chrono::milliseconds(1'000'000'000'000));
}

}  // namespace
}  // namespace circus
