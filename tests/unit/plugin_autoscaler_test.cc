// The autoscaler on the fake host: what it asks, what it does about the answers, and its command. The stack
// behind the host is a model of a queue in virtual time.
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

#include "queue_model.hpp"

namespace circus {
namespace {

using std::chrono::milliseconds;
using testing::FakeHost;

constexpr double kUntilIdle = 1e9;  // seconds

struct AutoscalerTest : ::testing::Test {
    void start(const Json& section = Json::object()) {
        ASSERT_EQ(host.start(section), CIRCUS_OK) << host.error();
        serve();
    }
    // Answers everything that is asked, as circusd would.
    void serve() {
        while (true) {
            const auto calls = host.take_calls();
            if (calls.empty()) return;
            for (const auto& call : calls) {
                ++asked[call.command];
                host.reply_to(call.command, fails.contains(call.command) ? CIRCUS_E_INVALID : CIRCUS_OK,
                              answer(call));
            }
        }
    }
    Json answer(const FakeHost::Call& call) {
        if (fails.contains(call.command)) return {{"reason", "it is tired"}};
        if (call.command == "status") return {{"status", "ok"}, {"statuses", statuses}};
        if (call.command == "options") return {{"options", options_of(call.properties.at("name"))}};
        if (call.command == "stats") return {{"info", processes()}};
        if (call.command == "listsockets") return {{"sockets", sockets()}};
        changes.push_back(call);
        if (call.command == "incr") resize(model.wanted() + call.properties.at("nb").get<int>());
        if (call.command == "decr") resize(model.wanted() - call.properties.at("nb").get<int>());
        if (call.command == "set") resize(call.properties.at("options").at("numprocesses").get<int>());
        if (call.command == "stop") statuses["web"] = "stopped";
        return Json::object();
    }
    void resize(int count) {
        model.set_workers(count);
        largest = std::max(largest, count);
        last_change = model.now();
    }
    Json options_of(const std::string& name) {
        Json out = name == "web" ? table : others_table;
        out["numprocesses"] = model.wanted();
        out["on_demand"] = on_demand;
        return out;
    }
    Json processes() {
        Json info = Json::object();
        for (int wid = 1; wid <= model.wanted() + lingering; ++wid) {
            const bool is_ready = wid <= model.ready();
            const bool has_booted = wids_ready.contains(wid);
            if (is_ready) wids_ready.insert(wid);
            Json process = {{"pid", 1000 + wid},
                            {"wid", wid},
                            {"age", is_ready ? 100.0 : 0.5},
                            {"cpu", has_booted ? cpu : boot_cpu.value_or(cpu)},
                            {"mem_info1", "10.00M"},
                            {"children", children}};
            if (tells_ready) process["ready"] = is_ready;
            info[std::to_string(1000 + wid)] = process;
        }
        return info;
    }
    Json sockets() {
        const Json figures = {{"queue", is_blind ? Json() : Json(model.queue())},
                              {"limit", 128},
                              {"in_flight", model.in_flight()},
                              {"accepted", model.accepted()},
                              {"drops", drops},
                              {"absent", is_blind ? Json{{"queue", "no"}} : Json::object()}};
        const Json datagrams = {
            {"queue", 0}, {"limit", 0}, {"in_flight", 0}, {"accepted", nullptr}, {"absent", Json::object()}};
        Json rows = {{{"name", "udp"}, {"watchers", {"web"}}, {"figures", datagrams}},
                     {{"name", "other"}, {"watchers", {"db"}}, {"figures", figures}}};
        if (has_socket) rows.push_back({{"name", "door"}, {"watchers", {"db", "web"}}, {"figures", figures}});
        return rows;
    }
    // `rate` over the seconds since the beginning of this call.
    void pass(double seconds, const std::function<double(double)>& rate) {
        const double begun = model.now();
        for (long tick = 1; model.now() < begun + seconds - 1e-6; ++tick) {
            model.tick(rate(model.now() - begun));
            if (tick % 25 != 0) continue;
            host.advance(milliseconds(250));
            serve();
        }
    }
    void pass(double seconds, double rate) {
        pass(seconds, [rate](double) { return rate; });
    }
    std::string explain() {
        return host.command("autoscale", {{"action", "explain"}, {"name", "web"}}).fields.at("explanation");
    }
    Json last_decision() {
        const Json asked_for{{"action", "explain"}, {"name", "WEB"}, {"decisions", true}};
        return host.command("autoscale", asked_for).fields.at("decisions").back();
    }
    FakeHost::Answer set(Json options) {
        options["action"] = "set";
        options["name"] = "web";
        return host.command("autoscale", options);
    }
    // Changes of direction in what was asked for.
    int turns() const {
        int turns = 0;
        for (std::size_t i = 1; i < changes.size(); ++i)
            turns += changes[i].command != changes[i - 1].command ? 1 : 0;
        return turns;
    }
    int count(const std::string& command) const {
        return static_cast<int>(std::count_if(changes.begin(), changes.end(),
                                              [&](const auto& each) { return each.command == command; }));
    }

    static queue_model::Options even() {
        queue_model::Options options;
        options.random = false;
        return options;
    }
    FakeHost host;
    queue_model::QueueModel model{even(), 2};
    Json statuses = {{"web", "active"}, {"db", "active"}};
    Json table = {{"autoscale.min", 2}, {"autoscale.max", 40}};
    Json others_table = Json::object();
    Json children = Json::array();   // of each process
    std::set<int> wids_ready;        // at a look before
    std::optional<double> boot_cpu;  // of a process until it was ready at a look
    int lingering = 0;               // processes beyond what is wanted
    double drops = 0;
    std::set<std::string> fails;
    std::map<std::string, int> asked;
    std::vector<FakeHost::Call> changes;  // in the order they were asked for
    bool on_demand = false, tells_ready = false, is_blind = false, has_socket = true;
    double cpu = 10;
    int largest = 0;
    double last_change = 0;  // when, by the model's clock
};

TEST_F(AutoscalerTest, AStepIsFollowedUpAndDownByTheCommandsOfAClient) {
    table["autoscale.max"] = 100;
    start();
    pass(20, 15);
    changes.clear();
    pass(40, 100);
    EXPECT_GE(model.wanted(), 14);
    EXPECT_LE(largest, 60) << "15, and what its backlog takes";
    EXPECT_EQ(count("decr"), 0);
    ASSERT_GE(count("incr"), 2);
    EXPECT_EQ(changes[0].properties.at("name"), "web");
    changes.clear();
    pass(900, 1);
    EXPECT_EQ(model.wanted(), 2);
    EXPECT_EQ(count("incr"), 0);
    const int first = changes[0].properties.at("nb").get<int>();
    EXPECT_LE(first, largest / 10);
    EXPECT_EQ(changes[0].properties,
              Json({{"name", "web"}, {"nb", first}, {"drain", kUntilIdle}, {"waiting", false}}));
}

TEST_F(AutoscalerTest, WhatAnOperatorsMaxForbidsGoesAfterTheDrainWhateverItHasInHand) {
    table["autoscale.drain"] = 7;
    start();
    pass(20, 40);
    changes.clear();
    EXPECT_EQ(set({{"max", 2}}).status, CIRCUS_OK);
    pass(2, 40);
    ASSERT_EQ(count("decr"), 1);
    EXPECT_EQ(changes[0].properties.at("drain"), 7);
}

TEST_F(AutoscalerTest, ARampIsFollowedWithoutAQueue) {
    start();
    pass(60, 20);
    pass(300, [](double t) { return 20 + 140 * t / 300; });
    const double end = model.now();
    pass(300, 160);
    EXPECT_GE(model.wanted(), 21);
    EXPECT_LE(largest, 24) << "23 at a busyness of 0.7";
    EXPECT_LE(last_change, end);
    EXPECT_EQ(turns(), 0);
    EXPECT_LE(model.wait(0.99), 0.1);
}

TEST_F(AutoscalerTest, ASlowSineTurnsTheFleetTwiceAPeriod) {
    constexpr double kPeriod = 600, kPi = 3.14159265358979;
    start();
    pass(3 * kPeriod, [=](double t) { return 90 - 70 * std::cos(2 * kPi * t / kPeriod); });
    EXPECT_EQ(turns(), 4) << "up and down and up and down and up";
    EXPECT_LE(largest, 24) << "23 at a busyness of 0.7";
    EXPECT_LE(model.wait(0.99), 0.1);
    EXPECT_LE(model.average_workers(), 19);
}

TEST_F(AutoscalerTest, RecurringSpikesFindTheFleetReady) {
    table["autoscale.max"] = 100;
    start();
    const auto spikes = [](double t) { return std::fmod(t, 60) >= 54 ? 200.0 : 30.0; };
    pass(180, spikes);
    const double wait = model.wait(0.99), begin = model.now();
    changes.clear();
    pass(600, spikes);
    EXPECT_LE(model.wait(0.99), wait) << "the first ones were the worst";
    EXPECT_LE(largest, 46) << "29 at a busyness of 0.7, and what the backlog of two boot times takes";
    EXPECT_EQ(count("incr"), 0);
    EXPECT_LE(last_change - begin, 60);
}

TEST_F(AutoscalerTest, ASlowBootIsWaitedForAndNotAnsweredByMoreAndMore) {
    queue_model::Options slow = even();
    slow.boot = 30;
    model = queue_model::QueueModel(slow, 2);
    table["autoscale.boot_time"] = 30;
    table["autoscale.max"] = 100;
    start();
    pass(180, 10);
    const double begin = model.now();
    pass(29, 100);
    EXPECT_LE(largest, 6) << "no faster than +4 or twofold in a boot time";
    pass(30, 100);
    EXPECT_LE(largest, 12);
    pass(120, 100);
    EXPECT_GE(largest, 15);
    EXPECT_LE(largest, 48) << "15, and what the backlog of three boot times takes";
    EXPECT_EQ(count("decr"), 0);
    EXPECT_LE(last_change - begin, 150) << "five boot times";
    EXPECT_EQ(model.queue(), 0);
}

TEST_F(AutoscalerTest, AQueueThatTheirOwnBootMadeDoesNotMultiplyThem) {
    model = queue_model::QueueModel(even(), 0);
    model.set_workers(4);
    table["autoscale.min"] = 4;
    start();
    pass(30, 5);
    EXPECT_EQ(model.queue(), 0);
    EXPECT_TRUE(changes.empty()) << "15 waited when the first was ready, and were through at once";
}

TEST_F(AutoscalerTest, ALatencyAsksForTwiceTheWorkersOnceUntilItIsMeasuredAgain) {
    model = queue_model::QueueModel(even(), 10);
    table.update({{"autoscale.min", 10},
                  {"autoscale.max", 100},
                  {"autoscale.boot_time", 1},  // it is 3
                  {"autoscale.latency_target", 100}});
    host.set_gauge("web", "http_observer.latency_p95", 230);
    start();
    pass(60, 95);
    EXPECT_EQ(model.wanted(), 20) << "the busy ones would be 14";
    const Json last = last_decision();
    EXPECT_EQ(last.at("signals").at("latency"), 230);
    EXPECT_FALSE(last.at("wishes").contains("latency")) << "they are busy no more";
    // A slow backend: whoever asks waits for it, and no worker does much.
    host.set_gauge("web", "http_observer.latency_p95", 5000);
    pass(60, 95);
    EXPECT_EQ(largest, 20);
    EXPECT_EQ(count("incr"), 1);
}

TEST_F(AutoscalerTest, ALatencyThatIsTooOldIsAMissingSignal) {
    table.update({{"autoscale.latency_target", 100}, {"autoscale.max_age", 20}});
    host.set_gauge("web", "http_observer.latency_p95", 50);
    start();
    pass(10, 1);
    EXPECT_EQ(last_decision().at("missing"), Json::array());
    EXPECT_NEAR(last_decision().at("signals").at("latency_age").get<double>(), 10, 0.5);
    pass(15, 1);
    EXPECT_EQ(last_decision().at("missing"), Json::array({"latency"}));
}

TEST_F(AutoscalerTest, OnlyWatchersWithATableAreScaled) {
    table = Json::object();
    start();
    pass(30, 100);
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(asked["stats"], 0);
    EXPECT_LE(asked["options"], 2 * 4) << "they are looked at now and then";
    EXPECT_EQ(host.command("autoscale", {{"action", "explain"}, {"name", "web"}}).status, CIRCUS_E_NOT_FOUND);
    table = {{"autoscaler.max", 5}};  // under the plugin's own name
    pass(30, 100);
    EXPECT_EQ(model.wanted(), 5);
}

TEST_F(AutoscalerTest, WhatIsStoppedIsLeftAlone) {
    statuses["web"] = "stopped";
    start();
    pass(30, 100);
    EXPECT_TRUE(changes.empty());
}

TEST_F(AutoscalerTest, EachChangeIsAnEventAndALineAndEachWishAGauge) {
    start();
    pass(10, 100);
    const auto events = host.take_published();
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events[0].topic, "watcher.web.autoscale");
    EXPECT_EQ(events[0].payload.at("watcher"), "web");
    EXPECT_EQ(events[0].payload.at("from"), 2);
    EXPECT_EQ(events[0].payload.at("dry_run"), false);
    EXPECT_EQ(static_cast<int>(events.size()), count("incr"));
    EXPECT_EQ(host.gauge("web", "autoscaler.workers").value() > 2, true);
    EXPECT_TRUE(host.gauge("web", "autoscaler.wanted.busy"));
    EXPECT_TRUE(host.gauge("web", "autoscaler.queue"));
    EXPECT_FALSE(host.gauge("db", "autoscaler.workers"));
}

TEST_F(AutoscalerTest, AWishThatIsNoMoreIsNone) {
    start();
    pass(5, 100);
    EXPECT_GT(host.gauge("web", "autoscaler.wanted.queue").value(), 2);
    pass(60, 10);
    EXPECT_EQ(model.queue(), 0);
    EXPECT_EQ(host.gauge("web", "autoscaler.wanted.queue"), 0);
    EXPECT_GT(host.gauge("web", "autoscaler.wanted.busy").value(), 0);
    EXPECT_FALSE(host.gauge("web", "autoscaler.wanted.cpu")) << "nobody asked for it";
}

TEST_F(AutoscalerTest, TwoScaledWatchersOnOneSocketAreToldOnce) {
    others_table = {{"autoscale.max", 5}};
    start();
    pass(10, 1);
    int told = 0;
    for (const auto& line : host.take_lines())
        told += line.text.find("db and web are both scaled and share the socket door") != std::string::npos;
    EXPECT_EQ(told, 1);
}

TEST_F(AutoscalerTest, ADryRunTellsAndChangesNothing) {
    table["autoscale.dry_run"] = true;
    start();
    pass(30, 100);
    EXPECT_TRUE(changes.empty());
    const auto events = host.take_published();
    ASSERT_FALSE(events.empty());
    EXPECT_LE(events.size(), 5u) << "the same is told once";
    EXPECT_EQ(events[0].payload.at("dry_run"), true);
    EXPECT_EQ(last_decision().at("held"), "dry run");
    EXPECT_EQ(last_decision().at("limit"), "growth") << "and why it would not be more";
}

TEST_F(AutoscalerTest, PausedItDecidesAndChangesNothingUntilItIsResumed) {
    start();
    EXPECT_EQ(host.command("autoscale", {{"action", "pause"}, {"name", "web"}}).status, CIRCUS_OK);
    pass(10, 100);
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(last_decision().at("held"), "paused");
    EXPECT_EQ(last_decision().at("limit"), "growth");
    EXPECT_TRUE(explain().starts_with("paused; "));
    EXPECT_NE(explain().find(", now 6 (growth, paused)"), std::string::npos) << explain();
    host.command("autoscale", {{"action", "resume"}, {"name", "web"}});
    pass(10, 100);
    EXPECT_GT(count("incr"), 0);
}

TEST_F(AutoscalerTest, AnOperatorsOptionsGoUntilTheyAreTakenBack) {
    start();
    EXPECT_EQ(set({{"max", 4}}).status, CIRCUS_OK);
    pass(30, 100);
    EXPECT_EQ(model.wanted(), 4);
    EXPECT_EQ(set(Json::object()).status, CIRCUS_OK);
    pass(30, 100);
    EXPECT_GT(model.wanted(), 4);
    EXPECT_EQ(set({{"dry_run", "yes"}}).status, CIRCUS_OK);
    const Json wrong[] = {
        {{"maximum", 4}}, {{"max", "four"}}, {{"max", 1}}, {{"target", 2}}, {{"memory_limit", "much"}}};
    for (const Json& each : wrong) {
        EXPECT_EQ(set(each).status, CIRCUS_E_INVALID) << each;
        EXPECT_FALSE(host.error().empty()) << each;
    }
    EXPECT_EQ(host.command("autoscale", {{"action", "fly"}, {"name", "web"}}).status, CIRCUS_E_INVALID);
    EXPECT_EQ(host.command("autoscale", {{"action", "pause"}}).status, CIRCUS_E_INVALID);
}

TEST_F(AutoscalerTest, ExplainHasTheLastHundredDecisionsWithAllSignals) {
    start();
    pass(150, 15);
    const Json asked_for{{"action", "explain"}, {"name", "web"}, {"decisions", true}};
    const Json answer = host.command("autoscale", asked_for).fields;
    EXPECT_EQ(answer.at("decisions").size(), 100u);
    EXPECT_EQ(answer.at("options").at("max"), 40);
    const Json last = answer.at("decisions").back();
    EXPECT_EQ(last.at("reason"), "busy");
    EXPECT_GE(last.at("wishes").at("busy"), 2);
    EXPECT_NEAR(last.at("signals").at("rate").get<double>(), 10, 2);
    EXPECT_NE(explain().find("wanted by busy"), std::string::npos);
    EXPECT_NE(host.command("autoscale", {{"action", "status"}})
                  .fields.at("scaled")
                  .get<std::string>()
                  .find("web: "),
              std::string::npos);
}

TEST_F(AutoscalerTest, ExplainHasWhatAQueueIsJudgedBy) {
    table["autoscale.max"] = 3;
    start();
    pass(5, 100);
    drops = 7;
    pass(3, 100);
    const Json signals = last_decision().at("signals");
    EXPECT_GT(signals.at("standing").get<double>(), 100);
    EXPECT_LE(signals.at("standing"), signals.at("queue"));
    EXPECT_NEAR(signals.at("growth").get<double>(), 70, 25) << "100 come, and three or two are at work";
    EXPECT_EQ(signals.at("queue_limit"), 128);
    EXPECT_EQ(signals.at("drops"), 7);
    EXPECT_EQ(signals.at("in_flight_now"), model.in_flight());
    EXPECT_NEAR(signals.at("busyness").get<double>(), 1, 0.3);
    EXPECT_EQ(last_decision().at("limit"), "max");
    EXPECT_EQ(last_decision().at("held"), "");
    EXPECT_NE(explain().find(", drops 7"), std::string::npos) << explain();
}

TEST_F(AutoscalerTest, FiguresThatAreAbsentAreAMissingSignal) {
    start();
    pass(60, 100);
    const int before = model.wanted();
    is_blind = true;
    pass(600, 0);
    EXPECT_EQ(model.wanted(), before);
    EXPECT_EQ(last_decision().at("missing"), Json::array({"load"}));
    int complaints = 0;
    for (const auto& line : host.take_lines())
        complaints += line.text.find("no figures") != std::string::npos ? 1 : 0;
    EXPECT_EQ(complaints, 1);
}

TEST_F(AutoscalerTest, AnExternalGaugeScalesWhatHasNoSocketAndAnOldOneChangesNothing) {
    has_socket = false;
    table["autoscale.external"] = "jobs";
    table["autoscale.external_target"] = 10;
    table["autoscale.max_age"] = 20;
    start();
    for (int i = 0; i < 20; ++i) {
        host.set_gauge("web", "jobs", 73);
        pass(1, 0);
    }
    EXPECT_EQ(model.wanted(), 8);
    pass(600, 0);
    EXPECT_EQ(model.wanted(), 8);
    for (int i = 0; i < 300; ++i) {
        host.set_gauge("web", "jobs", 0);
        pass(1, 0);
    }
    EXPECT_EQ(model.wanted(), 2);
}

TEST_F(AutoscalerTest, CpuCountsFromTheSecondLookAtAProcessOn) {
    has_socket = false;
    table["autoscale.cpu_target"] = 50;
    cpu = 100;
    start();
    EXPECT_EQ(model.wanted(), 2);
    pass(1, 0);
    EXPECT_EQ(model.wanted(), 4);
}

TEST_F(AutoscalerTest, TheCpuOfABootIsNoLoad) {
    has_socket = false;
    tells_ready = true;
    table.update({{"autoscale.cpu_target", 50}, {"autoscale.min", 6}});
    boot_cpu = 100;
    start();
    pass(20, 0);
    EXPECT_EQ(largest, 6) << "min";
    EXPECT_EQ(last_decision().at("signals").at("cpu"), 10);
}

TEST_F(AutoscalerTest, CpuIsAveraged) {
    has_socket = false;
    table["autoscale.cpu_target"] = 50;
    start();
    pass(10, 0);
    cpu = 150;
    pass(1, 0);
    EXPECT_EQ(last_decision().at("signals").at("cpu"), (4 * 10 + 150) / 5);
    cpu = 10;
    pass(10, 0);
    EXPECT_EQ(model.wanted(), 2);
    cpu = 150;
    pass(10, 0);
    EXPECT_GE(model.wanted(), 6) << "and what lasts is load";
}

TEST_F(AutoscalerTest, WhatTheChildrenOfAWorkerUseIsItsUse) {
    has_socket = false;
    table["autoscale.cpu_target"] = 50;
    cpu = 0;
    children = {{{"pid", 2000}, {"cpu", 60}, {"mem_info1", "20.00M"}},
                "Process not found",
                {{"pid", 2001}, {"cpu", 40}, {"mem_info1", "5.00M"}}};
    start();
    pass(1, 0);
    EXPECT_EQ(model.wanted(), 4);
    const Json signals = last_decision().at("signals");
    EXPECT_EQ(signals.at("cpu"), 100);
    EXPECT_EQ(signals.at("rss_worker"), 35 << 20);
    EXPECT_EQ(signals.at("rss"), 2 * (35 << 20));
}

TEST_F(AutoscalerTest, MemoryIsLimitedByWhatTheWorkersTake) {
    table["autoscale.memory_limit"] = "55M";
    start();
    pass(60, 100);
    EXPECT_EQ(largest, 5);
    EXPECT_EQ(last_decision().at("limit"), "memory_limit");
}

TEST_F(AutoscalerTest, TheBootTimeIsMeasuredWhereTheWatcherTellsWhoIsReady) {
    tells_ready = true;
    table["autoscale.boot_time"] = 77;
    start();
    pass(1, 10);
    EXPECT_EQ(host.gauge("web", "autoscaler.boot_time"), 77);
    pass(20, 100);
    // The stand-in for a process says it is 100 s old as soon as it is ready.
    EXPECT_EQ(host.gauge("web", "autoscaler.boot_time"), 100);
}

TEST_F(AutoscalerTest, ABootThatIsOverBeforeTheNextLookIsMeasuredToo) {
    tells_ready = true;
    start();
    pass(1, 10);
    host.emit("watcher.web.spawn", {{"watcher", "web"}, {"process_pid", 1003}});
    host.advance(milliseconds(300));
    serve();
    host.emit("watcher.web.ready", {{"watcher", "web"}, {"process_pid", 1003}, {"wid", 3}});
    host.emit("watcher.web.ready", {{"watcher", "web"}, {"process_pid", 9999}, {"wid", 9}});
    model = queue_model::QueueModel(even(), 3);
    pass(3, 10);
    EXPECT_NEAR(host.gauge("web", "autoscaler.boot_time").value(), 0.3, 0.001);
}

TEST_F(AutoscalerTest, WorkersThatDieYoungAgainAndAgainAreNotMultiplied) {
    start();
    pass(5, 15);
    const auto die = [&](int pid, bool asked_for) {
        host.emit("watcher.web.spawn", {{"watcher", "web"}, {"process_pid", pid}});
        if (asked_for) host.emit("watcher.web.kill", {{"watcher", "web"}, {"process_pid", pid}});
        host.emit("watcher.web.reap", {{"watcher", "web"}, {"process_pid", pid}});
    };
    for (int i = 0; i < 5; ++i) die(2000 + i, true);
    pass(1, 15);
    EXPECT_NE(last_decision().at("limit"), "flapping");
    for (int i = 0; i < 3; ++i) die(3000 + i, false);
    changes.clear();
    pass(20, 150);
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(last_decision().at("limit"), "flapping");
    pass(30, 150);
    EXPECT_GT(count("incr"), 0);
}

TEST_F(AutoscalerTest, AReloadIsWaitedFor) {
    start();
    host.emit("operation.web.reload", {{"watcher", "web"}});
    pass(5, 150);
    EXPECT_TRUE(changes.empty());
    host.emit("watcher.web.reload", {{"watcher", "web"}});
    pass(2, 150);
    EXPECT_GT(count("incr"), 0);
}

TEST_F(AutoscalerTest, AReloadThatTakesItsTimeIsWaitedForUntilItEndsOrIsGivenUp) {
    start();
    for (const char* end : {"watcher.web.reload", "watcher.web.reload_failed", "operation.web.restart"}) {
        host.emit("operation.web.reload", {{"watcher", "web"}});
        pass(60, 150);
        EXPECT_TRUE(changes.empty()) << "as one by one takes it";
        EXPECT_EQ(last_decision().at("limit"), "reload");
        host.emit(end, {{"watcher", "web"}});
        pass(2, 150);
        EXPECT_GT(count("incr"), 0) << end;
        model = queue_model::QueueModel(even(), 2);
        changes.clear();
    }
}

TEST_F(AutoscalerTest, AReloadOfWhichNobodyTellsTheEndIsOverAfterAWhile) {
    start();
    host.emit("operation.web.reload", {{"watcher", "web"}});
    pass(118, 150);
    EXPECT_TRUE(changes.empty());
    pass(5, 150);
    EXPECT_GT(count("incr"), 0) << "a minute for each of the two";
}

TEST_F(AutoscalerTest, LoadThatComesBackOnTheWayToZeroMakesItGrow) {
    table["autoscale.min"] = 0;
    on_demand = true;
    start();
    pass(125, 0);
    lingering = 1;  // the last one has something in hand
    pass(100, 0);
    ASSERT_EQ(model.wanted(), 0);
    EXPECT_EQ(count("stop"), 0);
    changes.clear();
    pass(3, 20);
    ASSERT_GE(count("incr"), 1);
    EXPECT_EQ(count("stop") + count("set"), 0);
    EXPECT_GT(model.wanted(), 0);
}

TEST_F(AutoscalerTest, ToZeroItDrainsAndStopsAndLeavesOneToStart) {
    table["autoscale.min"] = 0;
    on_demand = true;
    start();
    pass(300, 0);
    ASSERT_EQ(changes.size(), 4u);  // 2 -> 1 -> 0
    EXPECT_EQ(changes[0].command, "decr");
    EXPECT_EQ(changes[1].properties,
              Json({{"name", "web"}, {"nb", 1}, {"drain", kUntilIdle}, {"waiting", false}}));
    EXPECT_EQ(changes[2].command, "stop");
    EXPECT_EQ(changes[3].properties, Json({{"name", "web"}, {"options", {{"numprocesses", 1}}}}));
    // A connection has started it.
    statuses["web"] = "active";
    changes.clear();
    pass(30, 100);
    EXPECT_GT(count("incr"), 0);
}

TEST_F(AutoscalerTest, WithoutOnDemandZeroIsOne) {
    table["autoscale.min"] = 0;
    start();
    pass(400, 0);
    EXPECT_EQ(model.wanted(), 1);
}

TEST_F(AutoscalerTest, WhatContradictsItselfLeavesTheWatcherAloneUntilItDoesNot) {
    table["autoscale.max"] = 1;
    start();
    pass(10, 100);
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(explain(), "left alone: the option \"max\" is 1: less than \"min\", 2");
    table["autoscale.max"] = 6;
    pass(20, 100);
    EXPECT_EQ(model.wanted(), 6);
}

TEST_F(AutoscalerTest, ACommandThatFailsIsToldAndTriedAgain) {
    start();
    fails.insert("incr");
    pass(5, 100);
    EXPECT_EQ(model.wanted(), 2);
    EXPECT_TRUE(host.take_published().empty()) << "nothing has changed";
    EXPECT_FALSE(host.kept() && host.kept()->at("watchers").at("web").contains("grown"));
    fails.clear();
    pass(5, 100);
    EXPECT_GT(model.wanted(), 2);
    EXPECT_EQ(host.take_published().at(0).payload.at("from"), 2);
    EXPECT_TRUE(host.kept()->at("watchers").at("web").contains("grown"));
}

TEST_F(AutoscalerTest, AChangedSectionIsInForceAtOnceAndForgetsNothing) {
    table = {{"autoscale.min", 2}};
    start({{"max", 3}});
    pass(20, 100);
    EXPECT_EQ(model.wanted(), 3);
    ASSERT_EQ(host.reconfigure({{"max", 5}}), CIRCUS_OK);
    pass(20, 100);
    EXPECT_EQ(model.wanted(), 5);
    EXPECT_GT(host.command("autoscale", {{"action", "explain"}, {"name", "web"}, {"decisions", true}})
                  .fields.at("decisions")
                  .size(),
              30u);
}

TEST_F(AutoscalerTest, AnAnswerThatComesAfterItsWatcherIsGoneFindsNobody) {
    start();
    host.advance(std::chrono::seconds(1));
    host.reply_to("status", CIRCUS_OK, {{"status", "ok"}, {"statuses", statuses}});
    host.reply_to("options", CIRCUS_OK, {{"options", options_of("web")}});
    statuses.erase("web");
    host.advance(std::chrono::seconds(1));
    host.reply_to("status", CIRCUS_OK, {{"status", "ok"}, {"statuses", statuses}});
    host.reply_to("stats", CIRCUS_OK, {{"info", processes()}});
    EXPECT_EQ(host.command("autoscale", {{"action", "explain"}, {"name", "web"}}).status, CIRCUS_E_NOT_FOUND);
}

// Another host, with what this one kept, at the time that it is here: as the arbiter that takes over.
struct AutoscalerTakeover : AutoscalerTest {
    void take_over() {
        ASSERT_TRUE(host.kept());
        take_over(*host.kept());
    }
    void take_over(const Json& state) {
        fresh.leave(state);
        fresh.advance(host.now() - fresh.now());
        ASSERT_EQ(fresh.start(), CIRCUS_OK);
        look(fresh);
    }
    // What is asked of the arbiter once, answered as in serve().
    void look(FakeHost& at) {
        for (auto calls = at.take_calls(); !calls.empty(); calls = at.take_calls())
            for (const auto& call : calls) at.reply_to(call.command, CIRCUS_OK, answer(call));
    }
    Json explained() {
        const auto told =
            fresh.command("autoscale", {{"action", "explain"}, {"name", "web"}, {"decisions", true}});
        return told.fields;
    }
    FakeHost fresh;
};

TEST_F(AutoscalerTakeover, WhatAnOperatorSaidIsKeptAtOnceAndHolds) {
    start();
    EXPECT_EQ(set({{"max", 7}}).status, CIRCUS_OK);
    host.command("autoscale", {{"action", "pause"}, {"name", "web"}});
    take_over();
    EXPECT_EQ(explained().at("options").at("max"), 7);
    EXPECT_EQ(explained().at("paused"), true);
    fresh.command("autoscale", {{"action", "resume"}, {"name", "web"}});
    EXPECT_EQ(fresh.kept()->at("watchers").at("web"), (Json{{"set", {{"max", 7}}}}));
    fresh.command("autoscale", {{"action", "set"}, {"name", "web"}});
    EXPECT_EQ(fresh.kept()->at("watchers"), Json::object());
}

TEST_F(AutoscalerTakeover, TheNextOneGrowsNoFurtherThanTheOneBeforeMight) {
    has_socket = false;
    table.update({{"autoscale.external", "jobs"}, {"autoscale.external_target", 1}});
    host.set_gauge("web", "jobs", 30);
    start();
    EXPECT_EQ(model.wanted(), 6);
    fresh.set_gauge("web", "jobs", 30);
    take_over();
    EXPECT_EQ(model.wanted(), 6) << "as much as it may in a boot time";
    EXPECT_EQ(explained().at("decisions").back().at("limit"), "growth");
    FakeHost without;
    without.set_gauge("web", "jobs", 30);
    without.start();
    look(without);
    EXPECT_EQ(model.wanted(), 12) << "what is not known limits nothing";
}

TEST_F(AutoscalerTakeover, WhatWasLearntIsKnown) {
    tells_ready = true;
    start();
    pass(20, 15);
    pass(40, 100);
    const double boot = *host.gauge("web", "autoscaler.boot_time");
    ASSERT_NE(boot, 3) << "it was measured";
    take_over();
    EXPECT_EQ(fresh.gauge("web", "autoscaler.boot_time"), boot);
}

TEST_F(AutoscalerTakeover, AWatcherThatWasNotLookedAtYetStaysKnown) {
    start();
    host.command("autoscale", {{"action", "pause"}, {"name", "web"}});
    Json state = *host.kept();
    state["watchers"]["db"] = state["watchers"]["web"];
    state["watchers"]["gone"] = state["watchers"]["web"];
    fresh.leave(state);
    fresh.advance(host.now() - fresh.now());
    fresh.start();
    fresh.advance(std::chrono::seconds(20));
    EXPECT_EQ(*fresh.kept(), state);
    look(fresh);
    fresh.command("autoscale", {{"action", "set"}, {"name", "web"}, {"max", 7}});
    EXPECT_EQ(fresh.kept()->at("watchers").size(), 1U) << "db is not scaled, gone is gone";
}

TEST_F(AutoscalerTakeover, WhatMakesNoSenseIsToldAndIgnored) {
    start();
    const Json later = (host.now() + std::chrono::hours(1)).count();
    const Json rows[] = {{{"paused", "maybe"}},
                         {{"paused", true}, {"set", {{"max", "many"}}}},
                         {{"paused", true}, {"grown", later}},
                         {{"paused", true}, {"boot", -1}},
                         {{"paused", true}, {"growths", {1, 2}}},
                         Json(7)};
    for (const Json& row : rows) {
        take_over({{"version", 1}, {"watchers", {{"web", row}}}});
        EXPECT_EQ(explained().at("paused"), false) << row;
        bool was_told = false;
        for (const auto& line : fresh.take_lines())
            was_told =
                was_told || line.text.starts_with("web begins anew: what was kept of it makes no sense");
        EXPECT_TRUE(was_told) << row;
        fresh.stop();
    }
    for (const Json& state : {Json{{"version", 2}, {"watchers", Json::object()}}, Json{{"version", 1}}}) {
        take_over(state);
        EXPECT_TRUE(fresh.take_lines().at(0).text.starts_with("what was kept is ignored: ")) << state;
        fresh.stop();
    }
}

TEST(AutoscalerOptions, ASectionThatContradictsItselfIsRefused) {
    const std::pair<Json, const char*> wrong[] = {
        {{{"min", 5}, {"max", 4}}, "the option \"max\" is 4: less than \"min\", 5"},
        {{{"external", "jobs"}},
         "the option \"external\" is \"jobs\": \"external\" and \"external_target\" go together"},
        {{{"memory_limit", "much"}},
         "the option \"memory_limit\" is \"much\": no amount; write bytes or \"2G\""}};
    for (const auto& [options, why] : wrong) {
        FakeHost host;
        EXPECT_EQ(host.start(options), CIRCUS_E_INVALID);
        EXPECT_EQ(host.error(), why);
    }
}

}  // namespace
}  // namespace circus
