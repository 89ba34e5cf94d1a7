// What the page of metrics is made of, and how it is written.
#include <optional>
#include <prometheus/text_serializer.h>
#include <string>
#include <unistd.h>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metrics/accept.hpp"
#include "metrics/openmetrics.hpp"
#include "metrics/page.hpp"
#include "metrics/process_files.hpp"
#include "metrics/settings.hpp"

namespace metrics {
namespace {

using circus::Json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

Json watcher_of(int spawned) {
    return {{"status", "active"},
            {"wanted", 3},
            {"numprocesses", 3},
            {"ready", 1},
            {"pids", {11, 12}},
            {"spawned", spawned},
            {"spawns_failed", 1},
            {"ended", Json::array({{{"cause", "SIGKILL"}, {"asked", 1}, {"unasked", 4}}})},
            {"replaced", {{"died", 4}, {"reload", 1}}},
            {"cpu_of_ended", 2.5},
            {"stdout", {{"bytes", 100}, {"dropped", 7}}},
            {"stderr", {{"bytes", 0}, {"dropped", 0}}}};
}

Sample sample_of(Json watchers) {
    Json plugins{
        {"flapping", {{"state", "active"}, {"calls", 9}, {"slow", 1}, {"errors", 0}, {"time", 0.25}}}};
    Json figures{{"queue", 2},     {"limit", 128}, {"in_flight", nullptr},
                 {"accepted", 50}, {"drops", 0},   {"absent", {{"in_flight", "a reason"}}}};
    return {{{"watchers", std::move(watchers)},
             {"keeper", 1},
             {"arbiter", 2},
             {"version", "1.2"},
             {"events_dropped", 0},
             {"loop", {{"bounds", {0.001, 1.0}}, {"turns", {5, 2, 1}}, {"busy", 3.5}}}},
            {{"sockets", Json::array({{{"name", "web"}, {"figures", std::move(figures)}}})}},
            {{"plugins", std::move(plugins)}},
            {{"gauges",
              {{"web", {{"latency", {{"value", 0.25}, {"age", 3.0}}}, {"old", {{"value", 1}, {"age", 1e6}}}}},
               {"job", {{"autoscaler.wanted.busy", {{"value", 3}, {"age", 1.0}}}}}}}}};
}

// Processes 11 and 12 have used a second each, half of it in children; their parent is the keeper, 1.
struct MetricsPageTest : ::testing::Test {
    std::string open(const Sample& sample) { return OpenMetricsSerializer().Serialize(page.make(sample)); }

    double cpu = 0.5;
    pid_t parent = 1;
    Page page{{[this](pid_t pid) {
                   return pid > 12 ? std::nullopt : std::optional(ProcessUse{parent, cpu, 0.5, 4096});
               },
               [](pid_t) { return std::optional<std::uint64_t>(8); }}};
};

TEST_F(MetricsPageTest, EachFigureHasItsLine) {
    const std::string text = open(sample_of({{"web", watcher_of(5)}}));
    for (const char* line :
         {"circus_info{version=\"1.2\"} 1\n",
          "circus_watcher_status{watcher=\"web\",status=\"active\"} 1\n",
          "circus_watcher_status{watcher=\"web\",status=\"stopped\"} 0\n",
          "circus_watcher_processes_wanted{watcher=\"web\"} 3\n",
          "circus_watcher_processes_running{watcher=\"web\"} 2\n",
          "circus_watcher_processes_ready{watcher=\"web\"} 1\n",
          "circus_watcher_spawns_total{watcher=\"web\"} 5\n",
          "circus_watcher_spawn_failures_total{watcher=\"web\"} 1\n",
          "circus_watcher_restarts_total{watcher=\"web\",reason=\"died\"} 4\n",
          "circus_watcher_restarts_total{watcher=\"web\",reason=\"memory\"} 0\n",
          "circus_watcher_deaths_total{watcher=\"web\",cause=\"SIGKILL\",asked=\"false\"} 4\n",
          "circus_watcher_deaths_total{watcher=\"web\",cause=\"SIGKILL\",asked=\"true\"} 1\n",
          "circus_watcher_cpu_seconds_total{watcher=\"web\"} 4.5\n",
          "circus_watcher_resident_memory_bytes{watcher=\"web\"} 8192\n",
          "circus_watcher_log_bytes_total{watcher=\"web\",stream=\"stdout\"} 100\n",
          "circus_watcher_log_dropped_bytes_total{watcher=\"web\",stream=\"stdout\"} 7\n",
          "circus_socket_queue_connections{socket=\"web\"} 2\n",
          "circus_socket_queue_limit_connections{socket=\"web\"} 128\n",
          "circus_socket_connections_total{socket=\"web\"} 50\n",
          "circus_plugin_active{plugin=\"flapping\"} 1\n",
          "circus_plugin_callback_seconds_total{plugin=\"flapping\"} 0.25\n",
          "circus_loop_turn_seconds_bucket{le=\"0.001\"} 5\n",
          "circus_loop_turn_seconds_bucket{le=\"1.0\"} 7\n",
          "circus_loop_turn_seconds_bucket{le=\"+Inf\"} 8\n",
          "circus_loop_turn_seconds_sum 3.5\n",
          "circus_daemon_cpu_seconds_total{process=\"arbiter\"} 0.5\n",
          "circus_daemon_open_fds{process=\"keeper\"} 8\n"})
        EXPECT_THAT(text, HasSubstr(line));
    EXPECT_THAT(text, EndsWith("# EOF\n"));
}

TEST_F(MetricsPageTest, WhatIsNotKnownIsLeftOut) {
    EXPECT_THAT(open(sample_of({{"web", watcher_of(5)}})), Not(HasSubstr("in_flight")));
}

TEST_F(MetricsPageTest, AProcessWhoseNumberIsSomebodyElsesByNowIsNotCounted) {
    parent = 77;
    EXPECT_THAT(open(sample_of({{"web", watcher_of(5)}})),
                HasSubstr("circus_watcher_resident_memory_bytes{watcher=\"web\"} 0\n"));
}

TEST_F(MetricsPageTest, ACounterWaitsForADeathThatIsNotCountedYet) {
    open(sample_of({{"web", watcher_of(5)}}));
    Json dead = watcher_of(5);
    dead["pids"] = {11, 99};
    EXPECT_THAT(open(sample_of({{"web", dead}})), HasSubstr("cpu_seconds_total{watcher=\"web\"} 4.5\n"));
    dead["pids"] = {11};
    dead["cpu_of_ended"] = 4.0;
    EXPECT_THAT(open(sample_of({{"web", dead}})), HasSubstr("cpu_seconds_total{watcher=\"web\"} 5\n"));
}

TEST_F(MetricsPageTest, AWatcherThatWasAddedAnewGoesOnFromWhereItWas) {
    open(sample_of({{"web", watcher_of(5)}}));
    const std::string text = open(sample_of({{"web", watcher_of(2)}}));
    EXPECT_THAT(text, HasSubstr("circus_watcher_spawns_total{watcher=\"web\"} 7\n"));
    EXPECT_THAT(text, HasSubstr("circus_watcher_cpu_seconds_total{watcher=\"web\"} 9\n"));
}

TEST_F(MetricsPageTest, WhatIsGoneIsNotShown) {
    open(sample_of({{"web", watcher_of(5)}}));
    EXPECT_THAT(open(sample_of(Json::object())), Not(HasSubstr("circus_watcher")));
}

TEST_F(MetricsPageTest, GaugesAreShownWhileSomebodySetsThem) {
    const std::string text = open(sample_of({{"Web", watcher_of(1)}}));
    EXPECT_THAT(text, HasSubstr("circus_gauge{watcher=\"Web\",gauge=\"latency\"} 0.25\n"));
    EXPECT_THAT(text, HasSubstr("circus_autoscaler_wanted_workers{watcher=\"job\",reason=\"busy\"} 3\n"));
    EXPECT_THAT(text, Not(HasSubstr("gauge=\"old\"")));
}

TEST_F(MetricsPageTest, NamesAreEscaped) {
    EXPECT_THAT(open(sample_of({{"a \"b\" \\ \n", watcher_of(1)}})),
                HasSubstr(R"(circus_watcher_spawns_total{watcher="a \"b\" \\ \n"} 1)"));
}

TEST_F(MetricsPageTest, BothFormatsHaveTheSameSamples) {
    const auto families = page.make(sample_of({{"web", watcher_of(5)}}));
    const std::string text = prometheus::TextSerializer().Serialize(families);
    EXPECT_THAT(text, HasSubstr("# TYPE circus_watcher_spawns_total counter\n"));
    EXPECT_THAT(text, HasSubstr("circus_watcher_spawns_total{watcher=\"web\"} 5\n"));
    EXPECT_THAT(
        OpenMetricsSerializer().Serialize(families),
        HasSubstr("# TYPE circus_watcher_cpu_seconds counter\n# UNIT circus_watcher_cpu_seconds seconds\n"));
}

TEST(MetricsFormatTest, OpenMetricsIsForThoseWhoAskForIt) {
    EXPECT_EQ(format_for(""), Format::Text);
    EXPECT_EQ(format_for("*/*"), Format::Text);
    EXPECT_EQ(format_for("text/plain"), Format::Text);
    EXPECT_EQ(format_for("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics);
    EXPECT_EQ(
        format_for("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
                   "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
        Format::OpenMetrics);
    EXPECT_EQ(format_for("application/openmetrics-text;q=0.2, text/plain"), Format::Text);
    EXPECT_EQ(format_for("application/openmetrics-text;q=0"), Format::Text);
    EXPECT_EQ(format_for(",;q,;;=,"), Format::Text);
}

TEST(MetricsSettingsTest, OtherMachinesAreLetInOnPurposeOnly) {
    const auto read = [](const char* listen, bool remote) {
        return Settings::parse({{"listen", listen}, {"remote", remote}});
    };
    EXPECT_TRUE(read("localhost:1", false).is_loopback);
    EXPECT_EQ(read("[::1]:1", false).host, "::1");
    EXPECT_FALSE(read("", false).listens());
    EXPECT_THROW(read("0.0.0.0:1", false), circus::Failure);
    EXPECT_FALSE(read("0.0.0.0:1", true).is_loopback);
    for (const char* bad : {"9464", "example.org:1", "127.0.0.1:x", "127.0.0.1:70000", ":1"})
        EXPECT_THROW(read(bad, true), circus::Failure) << bad;
}

TEST(MetricsProcessTest, ANameWithBracketsAndBlanksIsNoField) {
    const auto use = parse_stat("7 (a) b (c) S 3 7 7 0 -1 4 0 0 0 0 100 50 20 10 20 0 1 0 5 4096 2 18 1 1");
    ASSERT_TRUE(use);
    EXPECT_EQ(use->parent, 3);
    const auto tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
    EXPECT_DOUBLE_EQ(use->cpu_seconds, 150 / tick);
    EXPECT_DOUBLE_EQ(use->waited_cpu_seconds, 30 / tick);
    EXPECT_DOUBLE_EQ(use->resident_bytes, 2.0 * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    for (const char* bad : {"", "7 (a", "7 (a) S 3"}) EXPECT_FALSE(parse_stat(bad)) << bad;
}

TEST(MetricsProcessTest, ThisProcessIsFound) {
    const auto use = read_process(::getpid());
    ASSERT_TRUE(use);
    EXPECT_EQ(use->parent, ::getppid());
    EXPECT_GT(use->resident_bytes, 0);
    EXPECT_GE(count_descriptors(::getpid()).value_or(0), 3u);
    EXPECT_FALSE(read_process(0));
}

}  // namespace
}  // namespace metrics
