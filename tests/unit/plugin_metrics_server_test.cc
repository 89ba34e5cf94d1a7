// The whole plugin on the fake host: real connections on loopback, circusd played by the test.
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <circus/testing.hpp>

namespace circus {
namespace {

using circus::testing::FakeHost;
using circus::testing::Json;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr auto kPatience = std::chrono::seconds(20);

// A client that waits for what it reads, 20 s at the most.
class Scraper {
  public:
    explicit Scraper(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const timeval patience{kPatience.count(), 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        is_connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    Scraper(const Scraper&) = delete;
    Scraper& operator=(const Scraper&) = delete;
    ~Scraper() { ::close(fd_); }

    bool is_connected() const { return is_connected_; }
    void send(const std::string& text) const { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
    void get(const std::string& target = "/metrics", const std::string& more = {}) const {
        send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n");
    }
    // One response, header and body; what came before the end, where there is one.
    std::string response() {
        std::string text;
        std::size_t end = std::string::npos, whole = std::string::npos;
        char block[65536];
        while (text.size() < whole) {
            const auto n = ::recv(fd_, block, sizeof block, 0);
            if (n <= 0) break;
            text.append(block, static_cast<std::size_t>(n));
            if (end == std::string::npos && (end = text.find("\r\n\r\n")) != std::string::npos)
                if (const auto at = text.find("Content-Length: "); at < end)
                    whole = end + 4 + std::stoul(text.substr(at + 16));
        }
        return text;
    }

  private:
    int fd_;
    bool is_connected_ = false;
};

struct MetricsServerTest : ::testing::Test {
    void start(Json options = Json::object()) {
        if (!options.contains("listen")) options["listen"] = "127.0.0.1:0";
        ASSERT_EQ(host.start(options), CIRCUS_OK) << host.error();
        for (const auto& line : host.take_lines()) {
            lines.push_back(line.text);
            if (line.text.starts_with("metrics at http://"))
                port = std::stoi(line.text.substr(line.text.rfind(':') + 1));
        }
    }
    // Waits until the plugin has asked its questions; what it asked.
    std::vector<std::string> asked() {
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        std::vector<std::string> commands;
        while (commands.size() < 4 && std::chrono::steady_clock::now() < deadline) {
            host.poll(milliseconds(1));
            for (const auto& call : host.take_calls()) commands.push_back(call.command);
        }
        return commands;
    }
    void answer(int dropped = 0) {
        host.reply_to("plugins", CIRCUS_OK, {{"plugins", Json::object()}});
        host.reply_to("listsockets", CIRCUS_OK, {{"sockets", Json::array()}});
        host.reply_to("gauge", CIRCUS_OK, {{"gauges", Json::object()}});
        host.reply_to("figures", CIRCUS_OK,
                      {{"watchers", Json::object()},
                       {"keeper", ::getpid()},
                       {"arbiter", ::getpid()},
                       {"version", "1"},
                       {"events_dropped", dropped},
                       {"loop", {{"bounds", {1.0}}, {"turns", {1, 0}}, {"busy", 0.5}}}});
    }

    FakeHost host;
    int port = 0;
    std::vector<std::string> lines;
};

TEST_F(MetricsServerTest, AScrapeIsAnsweredByFourCommands) {
    start();
    Scraper scraper(port);
    scraper.get();
    EXPECT_THAT(asked(), ::testing::UnorderedElementsAre("figures", "listsockets", "plugins", "gauge"));
    answer();
    const std::string response = scraper.response();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(response, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    EXPECT_THAT(response, HasSubstr("circus_events_dropped_total 0\n"));
}

TEST_F(MetricsServerTest, CircusdIsAskedOnceASecondAtTheMostHoweverManyScrape) {
    start();
    const auto begun = std::chrono::steady_clock::now();
    std::atomic<int> running{4}, good{0};
    std::vector<std::thread> scrapers;
    for (int i = 0; i < 4; ++i)
        scrapers.emplace_back([this, &running, &good] {
            Scraper scraper(port);
            for (int k = 0; k < 20; ++k) {
                scraper.get("/metrics", "Accept: application/openmetrics-text\r\n");
                if (scraper.response().ends_with("\n# EOF\n")) ++good;
            }
            --running;
        });
    int looks = 0;
    while (running > 0) {
        host.poll(milliseconds(1));
        std::size_t asked = 0;
        for (const auto& call : host.take_calls()) {
            asked += 1;
            if (call.command == "figures") ++looks;
        }
        if (asked > 0) answer(looks);
    }
    for (auto& scraper : scrapers) scraper.join();
    EXPECT_EQ(good, 80);
    EXPECT_LE(looks,
              1 + std::chrono::floor<std::chrono::seconds>(std::chrono::steady_clock::now() - begun).count());
}

TEST_F(MetricsServerTest, WhatIsNoScrapeIsRefused) {
    start();
    const auto answer_to = [this](const std::string& text) {
        Scraper scraper(port);
        scraper.send(text);
        return scraper.response().substr(0, 12);
    };
    EXPECT_EQ(answer_to("nonsense\r\n\r\n"), "HTTP/1.1 400");
    EXPECT_EQ(
        answer_to("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"),
        "HTTP/1.1 400");
    EXPECT_EQ(answer_to("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n"), "HTTP/1.1 404");
    EXPECT_EQ(answer_to("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
              "HTTP/1.1 405");
    EXPECT_EQ(answer_to("GET /metrics HTTP/1.1\r\nHost: rebound.example:80\r\n\r\n"), "HTTP/1.1 403");
    EXPECT_EQ(answer_to("GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 403") << "no Host";
    EXPECT_THAT(host.take_calls(), IsEmpty());
}

TEST_F(MetricsServerTest, ARefusalOfCircusdIsNoPage) {
    start();
    Scraper scraper(port);
    scraper.get();
    asked();
    host.reply_to("figures", CIRCUS_E_NOT_FOUND, {{"reason", "unknown command: 'figures'"}});
    host.reply_to("plugins", CIRCUS_OK, {{"plugins", Json::object()}});
    host.reply_to("listsockets", CIRCUS_OK, {{"sockets", Json::array()}});
    host.reply_to("gauge", CIRCUS_OK, {{"gauges", Json::object()}});
    const std::string response = scraper.response();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(response, HasSubstr("unknown command: 'figures'"));
    // The next one is asked again.
    scraper.get();
    asked();
    answer();
    EXPECT_THAT(scraper.response(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, TheCommandOfTheConsoleGivesTheSamePage) {
    start({{"listen", ""}});
    EXPECT_EQ(port, 0) << "it listens nowhere";
    const auto later = host.command("metrics.http", {{"method", "GET"}, {"path", "/metrics"}});
    EXPECT_EQ(later.status, CIRCUS_PENDING);
    asked();
    answer(3);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    FakeHost::Answer answered = later;
    while (answered.status == CIRCUS_PENDING && std::chrono::steady_clock::now() < deadline) {
        host.poll(milliseconds(1));
        answered = host.answer();
    }
    EXPECT_EQ(answered.fields.at("code"), 200);
    EXPECT_THAT(answered.fields.at("body").get<std::string>(), HasSubstr("circus_events_dropped_total 3\n"));
}

TEST_F(MetricsServerTest, AnAddressOfOtherMachinesIsAskedFor) {
    EXPECT_NE(host.start({{"listen", "0.0.0.0:0"}}), CIRCUS_OK);
    EXPECT_THAT(host.error(), HasSubstr("remote = true"));
    start({{"listen", "0.0.0.0:0"}, {"remote", true}});
    EXPECT_THAT(lines, ::testing::Contains(HasSubstr("whoever reaches it may read")));
}

TEST_F(MetricsServerTest, AnAddressThatIsTakenIsSaid) {
    start();
    FakeHost second;
    EXPECT_NE(second.start({{"listen", "127.0.0.1:" + std::to_string(port)}, {"remote", false}}), CIRCUS_OK);
    EXPECT_THAT(second.error(), HasSubstr("cannot listen on http://127.0.0.1:"));
}

TEST_F(MetricsServerTest, StoppingAnswersWhoeverWaits) {
    start();
    Scraper scraper(port);
    scraper.get();
    asked();
    EXPECT_EQ(host.stop(), CIRCUS_OK);
    EXPECT_THAT(scraper.response(), HasSubstr("circusd stops\n"));
}

}  // namespace
}  // namespace circus
