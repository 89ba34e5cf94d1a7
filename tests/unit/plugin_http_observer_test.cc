// http_observer on the fake host against a web server on loopback.
#include <filesystem>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http_observer/expectation.hpp"
#include "loopback_server.hpp"
#include "observer_fixture.hpp"
#include "udp_receiver.hpp"

namespace circus {
namespace {

using http_observer::StatusSet;
using http_observer::TextSearch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Always the same answer.
LoopbackServer::Answer page(const std::string& status, const std::string& body = "hello",
                            std::string more = {}) {
    return [=](std::string& received) -> std::string {
        if (received.find("\r\n\r\n") == std::string::npos) return {};
        received.clear();
        return "HTTP/1.1 " + status + "\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    };
}
std::string silence(std::string&) {
    return {};
}

struct HttpObserverTest : ObserverTest {
    void begin(Json options = Json::object()) {
        if (!options.contains("check_url")) options["check_url"] = "http://" + web.host() + "/health";
        start(std::move(options));
    }
    LoopbackServer web{page("200 OK")};
};

TEST_F(HttpObserverTest, AGoodAnswerIsAnEventAndGauges) {
    begin({{"watcher", "My Web"}});
    const auto event = look();
    EXPECT_EQ(event.topic, "watcher.my_web.http_observer");
    EXPECT_EQ(event.payload.at("watcher"), "My Web");
    EXPECT_EQ(event.payload.at("result"), "ok");
    EXPECT_EQ(event.payload.at("state"), "up");
    EXPECT_EQ(event.payload.at("changed"), true);
    EXPECT_EQ(event.payload.at("status"), 200);
    EXPECT_GT(event.payload.at("latency"), 0);
    EXPECT_EQ(host.gauge("My Web", "http_observer.up"), 1);
    EXPECT_EQ(host.gauge("My Web", "http_observer.latency"), event.payload.at("latency").get<double>());
    EXPECT_EQ(host.gauge("My Web", "http_observer.latency_p95"), event.payload.at("latency").get<double>());
    EXPECT_EQ(look().payload.at("changed"), false);
    EXPECT_THAT(host.take_calls(), IsEmpty());
}

TEST_F(HttpObserverTest, WithoutAWatcherTheLabelStandsForIt) {
    begin({{"label", "front"}});
    EXPECT_EQ(look().topic, "plugin.front");
    EXPECT_EQ(host.gauge("front", "front.up"), 1);
}

TEST_F(HttpObserverTest, AStatusOutsideOfThoseExpectedIsAnError) {
    begin();
    web.set_answer(page("503 Busy"));
    const auto event = look();
    EXPECT_EQ(event.payload.at("reason"), "status 503, expected 200-299");
    EXPECT_EQ(event.payload.at("state"), "down");
    EXPECT_EQ(event.payload.at("status"), 503);
    EXPECT_EQ(host.gauge("http_observer", "http_observer.up"), 0);
    EXPECT_EQ(host.gauge("http_observer", "http_observer.latency"), std::nullopt);
}

TEST_F(HttpObserverTest, TheStatusThatIsExpectedIsConfigured) {
    web.set_answer(page("404 Not Found"));
    begin({{"expected_status", "200, 400-404"}});
    EXPECT_EQ(result(), "ok");
}

TEST_F(HttpObserverTest, TheBodyHasToHaveTheText) {
    web.set_answer(page("200 OK", std::string(300'000, 'x') + "all is well" + std::string(300'000, 'x')));
    begin({{"expected_body", "all is well"}});
    EXPECT_EQ(result(), "ok");
    web.set_answer(page("200 OK", "all is wel"));
    EXPECT_EQ(reason(), "the body does not have \"all is well\"");
}

TEST_F(HttpObserverTest, HeadersAreSent) {
    std::string request;
    web.set_answer([&](std::string& received) {
        if (received.find("\r\n\r\n") != std::string::npos) request = received;
        return page("200 OK")(received);
    });
    begin({{"headers", {{"Host", "www.example"}, {"X-Check", "yes"}, {"X-Empty", ""}}}});
    EXPECT_EQ(result(), "ok");
    EXPECT_THAT(request, StartsWith("GET /health HTTP/1.1\r\n"));
    EXPECT_THAT(request, HasSubstr("\r\nHost: www.example\r\n"));
    EXPECT_THAT(request, HasSubstr("\r\nX-Check: yes\r\n"));
    EXPECT_THAT(request, HasSubstr("\r\nX-Empty:\r\n"));
}

TEST_F(HttpObserverTest, ARedirectIsFollowedUnlessItIsNotToBe) {
    LoopbackServer other{page("200 OK")};
    web.set_answer(page("302 Found", "", "Location: http://" + other.host() + "/\r\n"));
    begin();
    EXPECT_EQ(result(), "ok");
    host.stop();
    begin({{"follow_redirects", false}});
    EXPECT_EQ(reason(), "status 302, expected 200-299");
}

TEST_F(HttpObserverTest, AUnixSocketIsAsked) {
    const std::string path = ::testing::TempDir() + "web." + std::to_string(::getpid());
    {
        LoopbackServer local(page("200 OK"), path);
        begin({{"check_url", "http://any.invalid/"}, {"unix_socket", path}});
        EXPECT_EQ(result(), "ok");
    }
    EXPECT_NE(reason(), "");
    std::filesystem::remove(path);
}

TEST_F(HttpObserverTest, AServerThatIsNotThereIsAnError) {
    Json nowhere;
    {
        LoopbackServer gone{page("200 OK")};
        nowhere = "http://" + gone.host() + "/";
    }
    begin({{"check_url", nowhere}});
    EXPECT_THAT(reason(), HasSubstr("Failed to connect"));
}

TEST_F(HttpObserverTest, ALookTakesNoLongerThanItsTimeout) {
    web.set_answer(silence);
    begin({{"timeout", 0.05}});
    EXPECT_EQ(reason(), "no answer within 0.05 s");
    web.set_answer(page("200 OK"));
    web.hang_up();
    EXPECT_TRUE(turn([&] { return result() == "ok"; }));
}

TEST_F(HttpObserverTest, NamesAreLookedUp) {
    begin({{"check_url", "http://web.test:" + std::to_string(web.port()) + "/"}});
    EXPECT_EQ(result(), "ok");
}

TEST_F(HttpObserverTest, ANameServerThatIsSilentHoldsNobodyUp) {
    begin({{"check_url", "http://slow.test/"}, {"timeout", 0.05}});
    EXPECT_EQ(reason(), "no answer within 0.05 s");
    EXPECT_TRUE(turn([] { return NameServer::get().count() >= 1; }));
    host.stop();  // its thread waits still
    EXPECT_GE(NameServer::get().count(), 1);
    NameServer::get().let_go();
}

TEST_F(HttpObserverTest, ItIsDownAfterSoManyBadLooksAndUpAfterSoManyGoodOnes) {
    begin({{"up_after", 2}, {"down_after", 2}});
    EXPECT_EQ(look().payload.at("state"), "unknown");
    EXPECT_EQ(look().payload.at("state"), "up");
    web.set_answer(page("500 Broken"));
    EXPECT_EQ(look().payload.at("state"), "up");
    EXPECT_EQ(look().payload.at("state"), "down");
    web.set_answer(page("200 OK"));
    EXPECT_EQ(look().payload.at("state"), "down");
    const auto event = look();
    EXPECT_EQ(event.payload.at("state"), "up");
    EXPECT_EQ(event.payload.at("changed"), true);
}

TEST_F(HttpObserverTest, AWatcherThatIsDownIsRestartedOnceForEachRowOfBadLooks) {
    web.set_answer(page("500 Broken"));
    begin({{"restart_on_error", "web"}, {"down_after", 2}});
    look();
    EXPECT_THAT(commands(), IsEmpty());
    EXPECT_EQ(look().topic, "watcher.web.http_observer");
    EXPECT_THAT(commands(), ElementsAre("status web"));
    host.reply(CIRCUS_OK, {{"status", "active"}});
    EXPECT_THAT(commands(), ElementsAre("restart web"));
    const int before = web.connections();
    host.advance(std::chrono::seconds(5));
    EXPECT_EQ(web.connections(), before);  // nobody looks while it is restarted
    host.reply(CIRCUS_OK);
    look();
    EXPECT_THAT(commands(), IsEmpty());
    look();
    EXPECT_THAT(commands(), ElementsAre("status web"));
}

TEST_F(HttpObserverTest, WhatTheOperatorHasStoppedStaysStopped) {
    web.set_answer(page("500 Broken"));
    begin({{"restart_on_error", "web"}});
    look();
    EXPECT_THAT(commands(), ElementsAre("status web"));
    host.reply(CIRCUS_OK, {{"status", "stopped"}});
    EXPECT_THAT(commands(), IsEmpty());
    look();
    EXPECT_THAT(commands(), ElementsAre("status web"));
}

TEST_F(HttpObserverTest, WhatHasJustBeenStartedIsNotRestarted) {
    web.set_answer(page("500 Broken"));
    begin({{"restart_on_error", "My Web"}, {"boot_time", 3600}});
    EXPECT_EQ(look().payload.at("state"), "down");
    host.advance(std::chrono::seconds(3590));
    host.emit("watcher.my_web.start");
    host.advance(std::chrono::seconds(20));
    host.take_published();
    EXPECT_EQ(look().payload.at("state"), "down");
    EXPECT_THAT(commands(), IsEmpty());
    host.advance(std::chrono::hours(1));
    EXPECT_THAT(commands(), ElementsAre("status My Web"));
}

TEST_F(HttpObserverTest, ARestartThatFailsIsLoggedAndLookedAfter) {
    web.set_answer(page("500 Broken"));
    begin({{"restart_on_error", "web"}});
    look();
    host.reply(CIRCUS_OK, {{"status", "active"}});
    host.take_lines();
    host.reply(CIRCUS_E_INVALID, {{"reason", "vetoed"}});
    EXPECT_EQ(host.take_lines().at(0).text, "restart of web: vetoed");
    EXPECT_EQ(result(), "error");
}

TEST_F(HttpObserverTest, StatsdHasCircussMetrics) {
    UdpReceiver statsd;
    begin({{"host", "127.0.0.1"}, {"port", statsd.port()}, {"restart_on_error", "web"}, {"timeout", 5}});
    std::vector<std::string> lines;
    const auto next = [&] {
        return turn([&] {
            lines = statsd.lines();
            return !lines.empty();
        });
    };
    ASSERT_TRUE(next());
    EXPECT_THAT(lines.at(0),
                ::testing::MatchesRegex("circus.http_observer.watcher.http_stats.request_time:[0-9.]+.ms"));
    web.set_answer(page("503 Busy"));
    ASSERT_TRUE(turn([&] { return next() && lines.size() == 2; })) << ::testing::PrintToString(lines);
    EXPECT_THAT(lines, ElementsAre("circus.http_observer.watcher.http_stats.error:1|c",
                                   "circus.http_observer.watcher.http_stats.error.503:1|c"));
    host.reply(CIRCUS_OK, {{"status", "active"}});
    ASSERT_TRUE(next());
    EXPECT_THAT(lines, ElementsAre("circus.http_observer.watcher.http_stats.restart_on_error:1|c"));
}

TEST_F(HttpObserverTest, ItStopsInTheMiddleOfALook) {
    web.set_answer(silence);
    begin();
    EXPECT_TRUE(turn([&] { return web.connections() > 0; }));
    EXPECT_EQ(host.stop(), CIRCUS_OK);
}

TEST_F(HttpObserverTest, ItNeedsDescriptorsAndGauges) {
    host.withhold(CIRCUS_EXT_GAUGES);
    EXPECT_EQ(host.start(), CIRCUS_E_UNSUPPORTED);
}

TEST(HttpObserverOptions, WhatMakesNoSenseIsRefusedByName) {
    const std::pair<Json, std::string> wrong[] = {
        {{{"check_url", "ftp://web/"}}, "the option \"check_url\" is \"ftp://web/\": neither http nor https"},
        {{{"check_url", "localhost"}}, "the option \"check_url\" is \"localhost\": "},
        {{{"expected_status", "2xx"}},
         "the option \"expected_status\" is \"2xx\": write it as \"200\", \"200-299\" or \"200,204\""},
        {{{"headers", {{"A", 1}}}}, "the option \"headers\" is {\"A\":1}: A is no text"},
        {{{"headers", {{"A", "b\r\nC: d"}}}}, "the option \"headers\" is "},
        {{{"ca_file", "/nowhere"}}, "the option \"ca_file\" is \"/nowhere\": it cannot be read"}};
    for (const auto& [options, why] : wrong) {
        testing::FakeHost host;
        EXPECT_LT(host.start(options), 0);
        EXPECT_EQ(host.error().substr(0, why.size()), why);
    }
}

TEST(StatusSetTest, IsRangesOfNumbers) {
    const auto set = StatusSet::parse("200, 204-206");
    ASSERT_TRUE(set);
    for (const int status : {200, 204, 206}) EXPECT_TRUE(set->contains(status)) << status;
    for (const int status : {0, 199, 201, 203, 207}) EXPECT_FALSE(set->contains(status)) << status;
    for (const char* text : {"", "20", "600", "204-200", "200-", "-200", "200,", "a", "200 204"})
        EXPECT_FALSE(StatusSet::parse(text)) << text;
}

TEST(TextSearchTest, FindsWhatIsSplitOverPieces) {
    TextSearch search("abcab");
    for (const char* piece : {"ab", "c", "", "ax", "abcxab", "c", "a"}) search.read(piece);
    EXPECT_FALSE(search.is_found());
    search.read("b");
    EXPECT_TRUE(search.is_found());
    search.restart();
    EXPECT_FALSE(search.is_found());
    EXPECT_TRUE(TextSearch("").is_found());
}

}  // namespace
}  // namespace circus
