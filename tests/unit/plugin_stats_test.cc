// The stats plugin: what its frames say, and a round of it on the fake host with a real subscriber.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <zmq.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

#include "stats/frames.hpp"

namespace stats {
namespace {

using circus::testing::FakeHost;

Json process(int pid, double cpu, double mem, double age) {
    return {{"pid", pid},
            {"cpu", cpu},
            {"mem", mem},
            {"age", age},
            {"wid", 1},
            {"started", 1.5},
            {"children", {{{"pid", 99}}}}};
}

Json socket_row(int fd, const Json& accepted) {
    return {{"fd", fd},
            {"name", "web"},
            {"host", "127.0.0.1"},
            {"port", 80},
            {"figures", {{"accepted", accepted}}}};
}

TEST(StatsFrames, AWatcherIsItsProcessesAndThenTheirSum) {
    Frames frames;
    add_watchers(frames, {{"My Job", {{"7", process(7, 1.0, 0.25, 5)}, {"8", process(8, 3.0, 0.5, 9)}}}});
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].topic, "stat.my_job.7");
    EXPECT_EQ(Json::parse(frames[0].payload), Json({{"pid", 7},
                                                    {"cpu", 1.0},
                                                    {"mem", 0.25},
                                                    {"age", 5.0},
                                                    {"children", Json::array()},
                                                    {"subtopic", 7},
                                                    {"name", nullptr}}));
    EXPECT_EQ(frames[2].topic, "stat.my_job");
    EXPECT_EQ(Json::parse(frames[2].payload),
              Json({{"pid", {7, 8}}, {"cpu", 2.0}, {"mem", 0.75}, {"age", 9.0}}));
}

TEST(StatsFrames, WhatVanishedAndWhatIsStoppedSaysNothing) {
    Frames frames;
    add_watchers(frames, {{"gone", {{"7", "No such process (stopped?)"}}}, {"stopped", Json::object()}});
    EXPECT_TRUE(frames.empty());
}

TEST(StatsFrames, AFigureThatIsForbiddenIsNotInTheMean) {
    Json hidden = process(8, 0, 0.5, 2);
    hidden["cpu"] = "N/A";
    Frames frames;
    add_watchers(frames, {{"web", {{"7", process(7, 4.0, 0.25, 1)}, {"8", hidden}}}});
    EXPECT_EQ(Json::parse(frames.back().payload).at("cpu"), 4.0);
}

TEST(StatsFrames, WhatNobodySubscribesToIsNotMade) {
    const Json infos = {{"web", {{"7", process(7, 1.0, 0.25, 5)}, {"70", process(70, 3.0, 0.5, 9)}}},
                        {"webs", {{"9", process(9, 1.0, 0.25, 5)}}}};
    const auto topics = [&infos](const Wanted& wanted) {
        Frames frames;
        add_watchers(frames, infos, wanted);
        std::vector<std::string> names;
        for (const auto& frame : frames) names.push_back(frame.topic);
        return names;
    };
    Wanted wanted;
    EXPECT_TRUE(topics(wanted).empty());
    wanted.add("stat.web.7");
    EXPECT_EQ(topics(wanted), (std::vector<std::string>{"stat.web.7", "stat.web.70"}));
    wanted.add("stat.webs");
    wanted.remove("stat.web.7");
    EXPECT_EQ(topics(wanted), (std::vector<std::string>{"stat.webs.9", "stat.webs"}));
}

TEST(StatsFrames, CircusdIsAWatcherNamedCircus) {
    Frames frames;
    add_daemon(frames, process(5, 1.0, 0.1, 3));
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].topic, "stat.circus.5");
    EXPECT_EQ(Json::parse(frames[0].payload).at("name"), "circusd");
    EXPECT_EQ(frames[1].topic, "stat.circus");
}

TEST(StatsFrames, ReadsAreTheConnectionsSinceTheLastLook) {
    Reads reads;
    Frames first;
    reads.add_to(first, Json::array({socket_row(3, 100)}));
    EXPECT_TRUE(first.empty());
    Frames second;
    reads.add_to(second, Json::array({socket_row(3, 142)}));
    ASSERT_EQ(second.size(), 2U);
    EXPECT_EQ(second[0].topic, "stat.sockets.3");
    EXPECT_EQ(Json::parse(second[0].payload),
              Json({{"fd", 3}, {"subtopic", 3}, {"reads", 42}, {"address", "127.0.0.1:80"}}));
    EXPECT_EQ(Json::parse(second[1].payload), Json({{"addresses", {"127.0.0.1:80"}}, {"reads", 42}}));
}

TEST(StatsFrames, ASocketThatWasBoundAnewCountsFromZero) {
    Reads reads;
    Frames frames;
    reads.add_to(frames, Json::array({socket_row(3, 100)}));
    reads.add_to(frames, Json::array({socket_row(3, 4)}));
    EXPECT_EQ(Json::parse(frames.back().payload).at("reads"), 4);
}

TEST(StatsFrames, ASocketWhoseConnectionsAreNotCountedIsLeftOut) {
    Reads reads;
    Frames frames;
    for (int look = 0; look < 2; ++look) reads.add_to(frames, Json::array({socket_row(3, nullptr)}));
    EXPECT_TRUE(frames.empty());
}

struct StatsPluginTest : ::testing::Test {
    StatsPluginTest() {
        char name[] = "/tmp/circus-stats-XXXXXX";
        folder = mkdtemp(name);
        endpoint = "ipc://" + folder + "/run/stats";
        subscriber = another_subscriber();
    }
    void* another_subscriber() {
        void* const socket = zmq_socket(context, ZMQ_SUB);
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
        const int deadline_ms = 100;
        zmq_setsockopt(socket, ZMQ_RCVTIMEO, &deadline_ms, sizeof deadline_ms);
        return socket;
    }
    ~StatsPluginTest() override {
        zmq_close(subscriber);
        zmq_ctx_term(context);
        std::filesystem::remove_all(folder);
    }
    void start() {
        ASSERT_EQ(host.start({{"endpoint", endpoint}}), CIRCUS_OK);
        ASSERT_EQ(zmq_connect(subscriber, endpoint.c_str()), 0);
    }
    // Waits until the plugin has asked `command`, and takes the call.
    ::testing::AssertionResult asks(const std::string& command) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (std::chrono::steady_clock::now() < deadline) {
            for (const auto& call : host.take_calls())
                if (call.command == command) return ::testing::AssertionSuccess();
            host.poll(std::chrono::milliseconds(10));
        }
        return ::testing::AssertionFailure() << command << " was not asked";
    }
    void answer_a_round() {
        host.reply(CIRCUS_OK, {{"infos", {{"web", {{"7", process(7, 1.0, 0.25, 5)}}}}}});
        host.reply(CIRCUS_OK, {{"info", process(5, 0.0, 0.1, 3)}});
        host.reply(CIRCUS_OK, {{"sockets", Json::array({socket_row(3, rounds++ * 10)})}});
        host.take_calls();
    }
    // The topics of what has arrived; the payloads are the frames' tests'.
    std::set<std::string> topics() {
        std::set<std::string> found;
        char buffer[256];
        for (int got = 0; (got = zmq_recv(subscriber, buffer, sizeof buffer, 0)) >= 0;) {
            found.emplace(buffer, std::min(static_cast<std::size_t>(got), sizeof buffer));
            while (zmq_recv(subscriber, buffer, sizeof buffer, 0) < 0) continue;
        }
        return found;
    }
    mode_t mode_of(const std::string& name) const {
        struct stat found {};
        EXPECT_EQ(::stat((folder + name).c_str(), &found), 0) << name;
        return found.st_mode & 07777U;
    }
    std::string folder, endpoint;
    void* context = zmq_ctx_new();
    void* subscriber = nullptr;
    int rounds = 0;
    FakeHost host;
};

TEST_F(StatsPluginTest, ASubscriberGetsEveryTopicOfTheSecondRound) {
    start();
    ASSERT_TRUE(asks("stats"));
    answer_a_round();
    EXPECT_TRUE(topics().empty());
    host.advance(std::chrono::seconds(1));
    answer_a_round();
    std::set<std::string> seen;
    for (int looks = 0; looks < 100 && seen.size() < 6; ++looks) seen.merge(topics());
    EXPECT_EQ(seen, (std::set<std::string>{"stat.circus", "stat.circus.5", "stat.sockets", "stat.sockets.3",
                                           "stat.web", "stat.web.7"}));
}

TEST_F(StatsPluginTest, NothingIsAskedWhileNobodySubscribes) {
    ASSERT_EQ(host.start({{"endpoint", endpoint}}), CIRCUS_OK);
    host.advance(std::chrono::seconds(10));
    EXPECT_TRUE(host.take_calls().empty());
    ASSERT_EQ(zmq_connect(subscriber, endpoint.c_str()), 0);
    ASSERT_TRUE(asks("stats"));
    answer_a_round();
    zmq_close(std::exchange(subscriber, another_subscriber()));
    // Until the thread has heard that the subscriber has gone, rounds go on.
    const auto is_quiet = [this] {
        host.poll(std::chrono::milliseconds(10));
        host.advance(std::chrono::seconds(1));
        if (host.take_calls().empty()) return true;
        answer_a_round();
        return false;
    };
    bool quiet = false;
    for (int looks = 0; looks < 1000 && !quiet; ++looks) quiet = is_quiet();
    EXPECT_TRUE(quiet);
    ASSERT_EQ(zmq_connect(subscriber, endpoint.c_str()), 0);
    EXPECT_TRUE(asks("stats"));
}

TEST_F(StatsPluginTest, OnlyTheFirstRoundAfterAPauseIsNotPublished) {
    start();
    ASSERT_TRUE(asks("stats"));
    host.reply(CIRCUS_E_INVALID, {{"reason", "stopping"}});  // it is no round
    host.advance(std::chrono::seconds(1));
    answer_a_round();
    EXPECT_TRUE(topics().empty());
    host.advance(std::chrono::seconds(1));
    answer_a_round();
    std::set<std::string> seen;
    for (int looks = 0; looks < 100 && !seen.contains("stat.sockets"); ++looks) seen.merge(topics());
    EXPECT_TRUE(seen.contains("stat.sockets"));
}

TEST_F(StatsPluginTest, TheEndpointIsCircusdsUnlessOneIsGiven) {
    ASSERT_EQ(host.start(), CIRCUS_OK);
    ASSERT_EQ(host.take_calls().at(0).properties, Json({{"option", "stats_endpoint"}}));
    host.reply(CIRCUS_OK, {{"options", {{"stats_endpoint", endpoint}}}});
    EXPECT_TRUE(std::filesystem::is_socket(folder + "/run/stats"));
}

TEST_F(StatsPluginTest, TheSocketIsItsOwnersAlone) {
    ASSERT_EQ(host.start({{"endpoint", endpoint}}), CIRCUS_OK);
    EXPECT_EQ(mode_of("/run/stats"), 0600U);
    EXPECT_EQ(mode_of("/run"), 0700U);
}

struct Umask {
    explicit Umask(mode_t mask) : before(umask(mask)) {}
    ~Umask() { umask(before); }
    Umask(const Umask&) = delete;
    Umask& operator=(const Umask&) = delete;
    const mode_t before;
};

// What has happened to the entries of the folder that `changes` watches.
std::vector<std::uint32_t> seen_by(int changes) {
    alignas(inotify_event) char buffer[4096];
    const ssize_t size = read(changes, buffer, sizeof buffer);
    std::vector<std::uint32_t> masks;
    for (ssize_t at = 0; at < size;) {
        const auto* const event = reinterpret_cast<const inotify_event*>(buffer + at);
        masks.push_back(event->mask);
        at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    return masks;
}

TEST_F(StatsPluginTest, ItIsSoFromTheFirstMomentWhateverTheUmask) {
    std::filesystem::create_directory(folder + "/run");
    for (const mode_t mask : {mode_t{0}, mode_t{0777}}) {
        const int changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        ASSERT_GE(inotify_add_watch(changes, (folder + "/run").c_str(), IN_CREATE | IN_ATTRIB), 0);
        FakeHost other;
        {
            const Umask guard(mask);
            ASSERT_EQ(other.start({{"endpoint", endpoint}}), CIRCUS_OK);
            EXPECT_EQ(umask(mask), mask) << "it is given back";
        }
        EXPECT_EQ(mode_of("/run/stats"), 0600U);
        EXPECT_EQ(seen_by(changes), std::vector<std::uint32_t>{IN_CREATE}) << "and nobody has changed it";
        other.stop();
        close(changes);
    }
}

TEST_F(StatsPluginTest, FoldersThatItMakesAreItsOwnersAlone) {
    const Umask guard(0);
    ASSERT_EQ(host.start({{"endpoint", "ipc://" + folder + "/a/b/stats"}}), CIRCUS_OK);
    EXPECT_EQ(mode_of("/a"), 0700U);
    EXPECT_EQ(mode_of("/a/b"), 0700U);
    EXPECT_EQ(mode_of("/a/b/stats"), 0600U);
}

TEST_F(StatsPluginTest, AFolderThatEverybodyMayWriteToIsRefused) {
    std::filesystem::create_directory(folder + "/run");
    for (const auto& [mode, status] :
         {std::pair{0777U, CIRCUS_E_CONFLICT}, std::pair{01777U, CIRCUS_OK}, std::pair{0775U, CIRCUS_OK}}) {
        ASSERT_EQ(chmod((folder + "/run").c_str(), mode), 0);
        FakeHost other;
        EXPECT_EQ(other.start({{"endpoint", endpoint}}), status) << std::oct << mode;
        EXPECT_EQ(mode_of("/run"), mode) << "it stays as it is";
        if (status == CIRCUS_OK) other.stop();
    }
}

TEST_F(StatsPluginTest, ItTakesItsSocketAlong) {
    ASSERT_EQ(host.start({{"endpoint", endpoint}}), CIRCUS_OK);
    host.stop();
    EXPECT_FALSE(std::filesystem::exists(folder + "/run/stats"));
}

TEST_F(StatsPluginTest, ATickDuringARoundAsksNothing) {
    start();
    ASSERT_TRUE(asks("stats"));
    host.advance(std::chrono::seconds(3));
    EXPECT_TRUE(host.take_calls().empty());
    answer_a_round();
    host.advance(std::chrono::seconds(1));
    EXPECT_EQ(host.take_calls().size(), 1U);
}

TEST_F(StatsPluginTest, AfterAnErrorTheNextTickAsksAgain) {
    start();
    ASSERT_TRUE(asks("stats"));
    host.reply(CIRCUS_E_INVALID, {{"reason", "stopping"}});
    host.advance(std::chrono::seconds(1));
    EXPECT_EQ(host.take_calls().size(), 1U);
}

TEST_F(StatsPluginTest, AnEndpointThatCannotBeBoundIsNamed) {
    EXPECT_EQ(host.start({{"endpoint", "tcp://nowhere"}}), CIRCUS_E_CONFLICT);
}

TEST_F(StatsPluginTest, AnIntervalThatIsNoneIsRefused) {
    EXPECT_EQ(host.start({{"interval", 0}}), CIRCUS_E_INVALID);
}

}  // namespace
}  // namespace stats
