// redis_observer on the fake host against a server on loopback that speaks Redis's protocol.
#include <filesystem>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loopback_server.hpp"
#include "observer_fixture.hpp"
#include "redis_observer/url.hpp"

namespace circus {
namespace {

using redis_observer::parse_url;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Answers commands by a table; what is not in it is an error, as Redis's.
class FakeRedis {
  public:
    std::map<std::string, std::string> answers{
        {"PING", "+PONG\r\n"},
        {"INFO",
         bulk("# Memory\r\nused_memory:1024\r\nused_memory_human:1K\r\nmem_fragmentation_ratio:1.5\r\n"
              "redis_version:7.0.15\r\n")},
        {"LLEN jobs", ":42\r\n"}};
    std::vector<std::string> asked;

    static std::string bulk(const std::string& text) {
        return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    }
    std::string operator()(std::string& received) {
        std::string out;
        while (true) {
            std::size_t at = 0;
            std::string command;
            const auto line = [&](std::string& text) {
                const auto end = received.find("\r\n", at);
                if (end == std::string::npos) return false;
                text = received.substr(at, end - at);
                at = end + 2;
                return true;
            };
            std::string text;
            if (!line(text)) return out;
            for (int words = std::stoi(text.substr(1)); words > 0; --words) {
                if (!line(text) || received.size() < at + std::stoul(text.substr(1)) + 2) return out;
                command += (command.empty() ? "" : " ") + received.substr(at, std::stoul(text.substr(1)));
                at += std::stoul(text.substr(1)) + 2;
            }
            received.erase(0, at);
            asked.push_back(command);
            const auto known = answers.find(command);
            out += known == answers.end() ? "-ERR unknown command\r\n" : known->second;
        }
    }
};

struct RedisObserverTest : ObserverTest {
    void begin(Json options = Json::object()) {
        if (!options.contains("redis_url")) options["redis_url"] = "redis://" + server.host() + "/0";
        start(std::move(options));
    }
    void answer(const std::string& command, const std::string& text) {
        redis.answers[command] = text;
        server.set_answer(redis);
    }
    FakeRedis redis;
    LoopbackServer server{redis};
};

TEST_F(RedisObserverTest, AServerThatAnswersIsUpAndItsFiguresAreGauges) {
    begin({{"watcher", "Queue"}});
    const auto event = look();
    EXPECT_EQ(event.topic, "watcher.queue.redis_observer");
    EXPECT_EQ(event.payload.at("result"), "ok");
    EXPECT_EQ(event.payload.at("state"), "up");
    EXPECT_TRUE(event.payload.contains("latency"));
    EXPECT_EQ(host.gauge("Queue", "redis_observer.up"), 1);
    EXPECT_TRUE(host.gauge("Queue", "redis_observer.latency").has_value());
    EXPECT_EQ(host.gauge("Queue", "redis_observer.used_memory"), 1024);
    EXPECT_EQ(host.gauge("Queue", "redis_observer.mem_fragmentation_ratio"), 1.5);
    EXPECT_EQ(host.gauge("Queue", "redis_observer.used_memory_human"), std::nullopt);
}

TEST_F(RedisObserverTest, TheLengthOfAQueueIsAGauge) {
    answer("GET share", "$3\r\n0.5\r\n");
    begin({{"watcher", "queue"}, {"gauges", {{"jobs", "LLEN jobs"}, {"share", "GET share"}}}});
    EXPECT_EQ(result(), "ok");
    EXPECT_EQ(host.gauge("queue", "redis_observer.jobs"), 42);
    EXPECT_EQ(host.gauge("queue", "redis_observer.share"), 0.5);
    answer("LLEN jobs", ":7\r\n");
    EXPECT_EQ(result(), "ok");
    EXPECT_EQ(host.gauge("queue", "redis_observer.jobs"), 7);
}

TEST_F(RedisObserverTest, AFigureThatCannotBeHadIsSaidOnceAndIsNoError) {
    answer("LLEN jobs", "-WRONGTYPE no list\r\n");
    answer("GET gone", "$-1\r\n");
    answer("INFO", "-NOPERM no\r\n");
    begin({{"gauges", {{"jobs", "LLEN jobs"}, {"gone", "GET gone"}}}});
    EXPECT_EQ(result(), "ok");
    std::vector<std::string> warnings;
    for (const auto& line : host.take_lines())
        if (line.level == CIRCUS_WARNING) warnings.push_back(line.text);
    EXPECT_THAT(warnings, ElementsAre("redis_observer: INFO: NOPERM no",
                                      "redis_observer: gone: the answer is no number",
                                      "redis_observer: jobs: WRONGTYPE no list"));
    EXPECT_EQ(result(), "ok");
    EXPECT_THAT(host.take_lines(), IsEmpty());
    EXPECT_EQ(host.gauge("redis_observer", "redis_observer.jobs"), std::nullopt);
}

TEST_F(RedisObserverTest, OneConnectionIsKept) {
    begin();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(result(), "ok");
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(RedisObserverTest, AConnectionThatTheServerClosesBetweenTwoLooksIsMadeAnew) {
    begin();
    EXPECT_EQ(result(), "ok");
    const std::size_t watched = host.registrations();
    server.hang_up();
    // No time passes, so nobody looks meanwhile.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (host.registrations() == watched && std::chrono::steady_clock::now() < end)
        host.poll(std::chrono::milliseconds(5));
    EXPECT_EQ(result(), "ok");
    EXPECT_EQ(server.connections(), 2);
}

TEST_F(RedisObserverTest, AServerThatHangsUpIsAnErrorAndIsAskedAgain) {
    server.set_answer([](std::string&) { return std::string(); });
    begin({{"timeout", 9}});
    EXPECT_TRUE(turn([&] { return server.connections() == 1; }));
    server.hang_up();
    EXPECT_EQ(reason(), "Server closed the connection");
    server.set_answer(redis);
    EXPECT_EQ(result(), "ok");
}

TEST_F(RedisObserverTest, ALookTakesNoLongerThanItsTimeout) {
    server.set_answer([](std::string&) { return std::string(); });
    begin({{"timeout", 0.05}});
    EXPECT_EQ(reason(), "no answer within 0.05 s");
    server.set_answer(redis);
    EXPECT_TRUE(turn([&] { return result() == "ok"; }));
}

TEST_F(RedisObserverTest, AServerThatIsNotThereIsAnError) {
    std::string nowhere;
    {
        LoopbackServer gone{redis};
        nowhere = gone.host();
    }
    begin({{"redis_url", "redis://" + nowhere}});
    const auto event = look();
    EXPECT_EQ(event.payload.at("reason"), "Connection refused");
    EXPECT_EQ(event.payload.at("server"), nowhere);
    EXPECT_EQ(host.gauge("redis_observer", "redis_observer.up"), 0);
}

TEST_F(RedisObserverTest, AServerThatIsLoadingIsNotUp) {
    answer("PING", "-LOADING Redis is loading the dataset in memory\r\n");
    begin();
    EXPECT_EQ(reason(), "PING: LOADING Redis is loading the dataset in memory");
    answer("PING", "+PONG\r\n");
    EXPECT_EQ(result(), "ok");
}

TEST_F(RedisObserverTest, PasswordAndDatabaseAreSentWhenItIsConnected) {
    std::vector<std::string> asked;
    server.set_answer([&, fake = redis](std::string& received) mutable {
        fake.answers["AUTH me p@ss"] = fake.answers["SELECT 3"] = "+OK\r\n";
        const std::string out = fake(received);
        asked = fake.asked;
        return out;
    });
    begin({{"redis_url", "redis://me:p%40ss@" + server.host() + "/3"}});
    EXPECT_EQ(result(), "ok");
    EXPECT_THAT(asked, ElementsAre("AUTH me p@ss", "SELECT 3", "PING", "INFO"));
}

TEST_F(RedisObserverTest, AWrongPasswordIsAnErrorThatDoesNotShowIt) {
    begin({{"redis_url", "redis://:secret@" + server.host()}});
    const auto event = look();
    EXPECT_EQ(event.payload.at("reason"), "AUTH: ERR unknown command");
    EXPECT_THAT(event.payload.dump(), ::testing::Not(HasSubstr("secret")));
}

TEST_F(RedisObserverTest, AUnixSocketIsAsked) {
    const std::string path = ::testing::TempDir() + "redis." + std::to_string(::getpid());
    {
        LoopbackServer local(redis, path);
        begin({{"redis_url", "unix://" + path}});
        EXPECT_EQ(result(), "ok");
    }
    std::filesystem::remove(path);
    EXPECT_TRUE(turn([&] { return reason() == "No such file or directory"; }));
}

TEST_F(RedisObserverTest, NamesAreLookedUp) {
    begin({{"redis_url", "redis://web.test:" + std::to_string(server.port())}});
    EXPECT_EQ(result(), "ok");
}

TEST_F(RedisObserverTest, ANameServerThatIsSilentHoldsNobodyUp) {
    begin({{"redis_url", "redis://slow.test"}, {"timeout", 0.05}});
    EXPECT_EQ(reason(), "no answer within 0.05 s");
    EXPECT_EQ(reason(), "slow.test: the name server has not answered yet");
    EXPECT_TRUE(turn([] { return NameServer::get().count() == 1; }));
    host.stop();  // its thread waits still
    NameServer::get().let_go();
}

TEST_F(RedisObserverTest, ANameThatIsNotKnownIsAnError) {
    begin({{"redis_url", "redis://slow.test"}});
    EXPECT_TRUE(turn([] { return NameServer::get().count() == 1; }));
    NameServer::get().let_go();
    EXPECT_THAT(reason(), HasSubstr("slow.test: Temporary failure in name resolution"));
    host.stop();
    NameServer::get().let_go();
}

TEST_F(RedisObserverTest, AWatcherIsRestartedWhenRedisIsDown) {
    answer("PING", "-ERR no\r\n");
    begin({{"restart_on_timeout", "redis"}});
    EXPECT_EQ(look().topic, "watcher.redis.redis_observer");
    EXPECT_THAT(commands(), ElementsAre("status redis"));
    host.reply(CIRCUS_OK, {{"status", "active"}});
    EXPECT_THAT(commands(), ElementsAre("restart redis"));
}

TEST_F(RedisObserverTest, ItStopsInTheMiddleOfALook) {
    server.set_answer([](std::string&) { return std::string(); });
    begin();
    EXPECT_TRUE(turn([&] { return server.connections() > 0; }));
    EXPECT_EQ(host.stop(), CIRCUS_OK);
}

TEST(RedisObserverOptions, WhatMakesNoSenseIsRefusedByName) {
    const std::pair<Json, std::string> wrong[] = {
        {{{"redis_url", "rediss://x"}},
         "the option \"redis_url\": write redis://HOST:PORT/DB or unix:///PATH"},
        {{{"redis_url", "redis://:pw@h/x"}}, "the option \"redis_url\": \"x\" is no number of a database"},
        {{{"gauges", {{"jobs", " "}}}},
         "the option \"gauges\" is {\"jobs\":\" \"}: jobs is no command; write \"LLEN KEY\""},
        {{{"gauges", {{"jobs", 1}}}}, "the option \"gauges\" is {\"jobs\":1}: jobs is no command"}};
    for (const auto& [options, why] : wrong) {
        testing::FakeHost host;
        EXPECT_LT(host.start(options), 0);
        EXPECT_EQ(host.error().substr(0, why.size()), why);
    }
}

TEST(RedisUrl, IsReadAsRedisPyReadsIt) {
    const auto text = [](const char* url) {
        const auto u = parse_url(url);
        return u.path + "|" + u.host + "|" + std::to_string(u.port) + "|" + u.user + "|" + u.password + "|" +
               std::to_string(u.db);
    };
    EXPECT_EQ(text("redis://"), "|localhost|6379|||0");
    EXPECT_EQ(text("redis://h:1/2"), "|h|1|||2");
    EXPECT_EQ(text("redis://h/?db=4"), "|h|6379|||4");
    EXPECT_EQ(text("redis://[::1]:7"), "|::1|7|||0");
    EXPECT_EQ(text("redis://u:p@q%3A@h"), "|h|6379|u|p@q:|0");
    EXPECT_EQ(text("unix:///run/r%20s?db=1"), "/run/r s|localhost|6379|||1");
    EXPECT_EQ(text("unix://:pw@/run/r"), "/run/r|localhost|6379||pw|0");
    for (const char* url :
         {"", "localhost:6379", "redis://h:x", "redis://h:70000", "redis://[::1", "redis://[::1]7",
          "redis://h/-1", "redis://h?x=1", "redis://u@h", "redis://:%4@h", "unix://run", "unix:///"})
        EXPECT_THROW(parse_url(url), std::invalid_argument) << url;
}

}  // namespace
}  // namespace circus
