// The whole plugin on the fake host: real connections on loopback, circusd played by the test.
#include <arpa/inet.h>
#include <chrono>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

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
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr auto kPatience = std::chrono::seconds(20);

// A client that waits for what it reads, 20 s at the most.
class Client {
  public:
    explicit Client(int port, int receive_buffer = 0)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const timeval patience{kPatience.count(), 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (receive_buffer > 0)
            ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { ::close(fd_); }

    bool is_connected() const { return connected_; }
    void send(const std::string& text) const {
        std::size_t sent = 0;
        while (sent < text.size()) {
            const auto n = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) return;  // the server has had enough; what it said is read all the same
            sent += static_cast<std::size_t>(n);
        }
    }
    // False: the end.
    bool more() {
        char block[65536];
        const auto n = ::recv(fd_, block, sizeof block, 0);
        if (n > 0) received_.append(block, static_cast<std::size_t>(n));
        return n > 0;
    }
    // One response, header and body.
    std::string response() {
        std::size_t end = 0;
        while ((end = received_.find("\r\n\r\n")) == std::string::npos)
            if (!more()) return std::exchange(received_, {});
        std::size_t length = 0;
        if (const auto at = received_.find("Content-Length: "); at < end)
            length = std::stoul(received_.substr(at + 16));
        while (received_.size() < end + 4 + length)
            if (!more()) break;
        std::string whole = received_.substr(0, end + 4 + length);
        received_.erase(0, whole.size());
        return whole;
    }
    // One text of a WebSocket; empty: it ended.
    std::string message() {
        while (true) {
            const auto byte = [this](std::size_t at) { return static_cast<unsigned char>(received_.at(at)); };
            std::size_t head = 2;
            std::size_t size = received_.size() >= 2 ? byte(1) & 127u : 0;
            const std::size_t wide = size == 126 ? 2 : size == 127 ? 8 : 0;
            if (received_.size() >= head + wide && received_.size() >= 2) {
                if (wide > 0) size = 0;
                for (std::size_t i = 0; i < wide; ++i) size = size << 8 | byte(head + i);
                head += wide;
                if (received_.size() >= head + size) {
                    const bool is_text = (byte(0) & 15) == 1;
                    // A ping: whoever does not answer is taken for gone.
                    if ((byte(0) & 15) == 9) send(std::string("\x8a\x80\0\0\0\0", 6));
                    std::string text = received_.substr(head, size);
                    received_.erase(0, head + size);
                    if (is_text) return text;
                    continue;
                }
            }
            if (!more()) return {};
        }
    }
    // Reads messages up to one of that type.
    Json message_of(const std::string& type) {
        while (true) {
            const std::string text = message();
            if (text.empty()) return Json::object();
            Json parsed = Json::parse(text);
            if (parsed.at("type") == type) return parsed;
        }
    }
    void upgrade(const std::string& target) {
        send("GET " + target +
             " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
             "Upgrade\r\nSec-WebSocket-Version: "
             "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    }

  private:
    int fd_;
    bool connected_ = false;
    std::string received_;
};

std::string get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

struct ConsoleServerTest : ::testing::Test {
    void start(Json options = Json::object()) {
        if (!options.contains("listen")) options["listen"] = "127.0.0.1:0";
        if (!options.contains("token")) options["token"] = "a-token-to-operate";
        ASSERT_EQ(host.start(options), CIRCUS_OK) << host.error();
        for (const auto& line : host.take_lines())
            if (const auto at = line.text.rfind(':'); line.text.starts_with("console at http://"))
                port = std::stoi(line.text.substr(at + 1));
        ASSERT_GT(port, 0);
    }
    // The next command that the plugin calls.
    FakeHost::Call next_call() {
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        while (calls.empty() && std::chrono::steady_clock::now() < deadline) {
            host.poll(milliseconds(1));
            calls = host.take_calls();
        }
        if (calls.empty()) return {};
        const FakeHost::Call first = calls.front();
        calls.erase(calls.begin());
        return first;
    }
    std::string post(const std::string& command, const std::string& body) const {
        return "POST /api/v1/commands/" + command + " HTTP/1.1\r\nHost: localhost\r\n" + authorization +
               "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    }

    std::vector<std::string> lines_with(const std::string& text) {
        std::vector<std::string> found;
        for (const auto& line : host.take_lines())
            if (line.text.find(text) != std::string::npos) found.push_back(line.text);
        return found;
    }

    const std::string authorization = "Authorization: Bearer a-token-to-operate\r\n";
    FakeHost host;
    int port = 0;
    std::vector<FakeHost::Call> calls;
};

TEST_F(ConsoleServerTest, ACommandGoesToCircusdAndItsAnswerBack) {
    start();
    Client client(port);
    client.send(post("incr", R"({"name": "web", "nb": 2})"));
    const auto call = next_call();
    EXPECT_EQ(call.command, "incr");
    EXPECT_EQ(call.properties, Json({{"name", "web"}, {"nb", 2}}));
    host.reply(CIRCUS_OK, {{"numprocesses", 6}});
    const std::string response = client.response();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(response, HasSubstr("\"numprocesses\":6"));
    EXPECT_THAT(response, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'"));
    EXPECT_THAT(response, HasSubstr("X-Content-Type-Options: nosniff"));
    EXPECT_THAT(response, HasSubstr("Cache-Control: no-store"));
    // The connection goes on.
    client.send(get("/healthz"));
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200 "));
    client.send("HEAD / HTTP/1.0\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(client.response(), HasSubstr("text/html"));
}

TEST_F(ConsoleServerTest, WhatIsTooMuchOrNoHttpIsRefused) {
    start();
    const auto answer_to = [this](const std::string& text) {
        Client client(port);
        client.send(text);
        return client.response().substr(0, 12);
    };
    EXPECT_EQ(answer_to("nonsense\r\n\r\n"), "HTTP/1.1 400");
    EXPECT_EQ(answer_to("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"),
              "HTTP/1.1 431");
    EXPECT_EQ(answer_to(post("incr", std::string(300 << 10, ' '))), "HTTP/1.1 413");
    EXPECT_EQ(answer_to("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 403") << "no Host";
    EXPECT_EQ(answer_to(get("/healthz")), "HTTP/1.1 200");
}

TEST_F(ConsoleServerTest, EventsArePushed) {
    start({{"interval", 0.1}});
    host.emit("watcher.web.spawn", {{"process_pid", 1}});
    Client client(port);
    client.upgrade("/api/v1/events?past=5&topic=watcher.*");
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 401 ")) << "no token";
    Client known(port);
    known.send("GET /api/v1/events?past=5&topic=watcher.* HTTP/1.1\r\nHost: localhost\r\n" + authorization +
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
               "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_THAT(known.response(), StartsWith("HTTP/1.1 101 "));
    const Json hello = known.message_of("hello");
    EXPECT_EQ(hello.at("role"), "operate");
    EXPECT_EQ(hello.at("interval"), 0.1);
    EXPECT_EQ(known.message_of("events").at("events").at(0).at("topic"), "watcher.web.spawn");
    host.emit("other.topic");
    host.emit("watcher.web.reap", {{"exit_code", 3}});
    const Json events = known.message_of("events").at("events");
    EXPECT_EQ(events.size(), 1u);
    EXPECT_EQ(events.at(0).at("payload").at("exit_code"), 3);
    EXPECT_THAT(host.take_calls(), IsEmpty()) << "nobody asked for an overview";
}

TEST_F(ConsoleServerTest, AnOverviewIsPushedToWhoWantsIt) {
    start({{"token", "a-token-to-operate"}, {"interval", 0.1}});
    Client client(port);
    client.send(
        "GET /api/v1/events?overview=1&watcher=web HTTP/1.1\r\nHost: localhost\r\n" + authorization +
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 101 "));
    for (int i = 0; i < 5; ++i) next_call();
    host.reply_to("figures", CIRCUS_OK, {{"watchers", Json::object()}});
    host.reply_to("status", CIRCUS_OK, {{"statuses", {{"web", "active"}}}});
    host.reply_to("stats", CIRCUS_OK, {{"infos", {{"web", {{"7", {{"pid", 7}, {"cpu", 1.0}}}}}}}});
    host.reply_to("listsockets", CIRCUS_OK, {{"sockets", Json::array()}});
    host.reply_to("dstats", CIRCUS_OK, {{"info", Json::object()}});
    EXPECT_EQ(next_call().command, "get");
    host.reply_to("get", CIRCUS_OK, {{"options", {{"numprocesses", 1}}}});
    const Json overview = client.message_of("overview");
    EXPECT_EQ(overview.at("watchers").at(0).at("running"), 1);
    EXPECT_EQ(overview.at("processes").at(0).at("pid"), 7);
    // Again, and again, by itself.
    EXPECT_EQ(next_call().command, "status");
}

TEST_F(ConsoleServerTest, ASlowReaderIsToldWhatItMissedAndHoldsUpNobody) {
    start({{"token", "a-token-to-operate"}});
    Client slow(port, 65536);
    slow.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + authorization +
              "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
              "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_THAT(slow.response(), StartsWith("HTTP/1.1 101 "));
    slow.message_of("hello");
    constexpr int kFlood = 1800;  // a thousand are kept, and some hundred are in the buffers of the kernel
    const std::string text(16 << 10, 'x');
    for (int i = 0; i < kFlood; ++i) host.emit("flood", {{"i", i}, {"text", text}});
    Client other(port);
    other.send(get("/healthz"));
    EXPECT_THAT(other.response(), StartsWith("HTTP/1.1 200 "));
    std::uint64_t lost = 0;
    std::uint64_t seen = 0;
    int last = -1;
    while (last < kFlood - 1) {
        const std::string message = slow.message();
        ASSERT_NE(message, "");
        const Json parsed = Json::parse(message);
        if (parsed.at("type") == "lost") lost += parsed.at("count").get<std::uint64_t>();
        if (parsed.at("type") != "events") continue;
        seen += parsed.at("events").size();
        last = parsed.at("events").back().at("payload").at("i");
    }
    EXPECT_GT(lost, 0u);
    EXPECT_EQ(lost + seen, static_cast<std::uint64_t>(kFlood));
}

TEST_F(ConsoleServerTest, ALogoutEndsTheWebSocketsOfItsSessionAtOnce) {
    start({{"token", "a-token-to-operate"}, {"interval", 3600}});
    const auto write = [](const std::string& path, const std::string& body, const std::string& more) {
        return "POST /api/v1/" + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
               more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    };
    Client client(port);
    client.send(write("login", R"({"token": "a-token-to-operate"})", ""));
    const std::string in = client.response();
    const auto at = in.find("circus_console_");
    ASSERT_NE(at, std::string::npos) << in;
    const std::string session = "Cookie: " + in.substr(at, in.find(';', at) - at) + "\r\nX-Circus-Csrf: " +
                                Json::parse(in.substr(in.find("\r\n\r\n"))).at("csrf").get<std::string>() +
                                "\r\n";
    Client watching(port);
    watching.send(
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + session +
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_THAT(watching.response(), StartsWith("HTTP/1.1 101 "));
    watching.message_of("endpoints");
    client.send(write("logout", "{}", session));
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200 "));
    const auto since = std::chrono::steady_clock::now();
    EXPECT_EQ(watching.message(), "");
    EXPECT_LT(std::chrono::steady_clock::now() - since, kPatience / 2) << "it has not ended: it is silent";
}

TEST_F(ConsoleServerTest, AnAnswerThatIsNotAsItShouldBeFailsItsRequestAndNobodyElses) {
    start();
    Client client(port);
    client.send("GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n" + authorization + "\r\n");
    EXPECT_EQ(next_call().command, "commands");
    host.reply(CIRCUS_OK, {{"commands", {{"x", {{"summary", 5}}}}}});
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 500 "));
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + authorization + "\r\n");
    EXPECT_EQ(next_call().command, "metrics.http");
    host.reply(CIRCUS_OK, {{"code", "200"}, {"body", "x"}});
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 500 "));
    EXPECT_THAT(lines_with("the answer to commands: "), SizeIs(1));
    Client other(port);
    other.send(get("/healthz"));
    EXPECT_THAT(other.response(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ConsoleServerTest, WhatIsNestedTooDeepForAnybodysStackIsRefused) {
    start();
    const std::string deep = R"({"name": )" + std::string(130000, '[') + std::string(130000, ']') + "}";
    Client client(port);
    client.send(post("list", deep));
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 400 "));
    client.send(post("incr", R"({"name": "web"})"));
    EXPECT_EQ(next_call().command, "incr");
    host.reply(CIRCUS_OK, Json::object());
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(lines_with("console: (token) from 127.0.0.1: incr web: ok"), SizeIs(1));
}

TEST_F(ConsoleServerTest, StopEndsWhatIsUnderWayAndLetsThePortGo) {
    start();
    Client idle(port);
    Client asking(port);
    asking.send(post("stop", "{}"));
    EXPECT_EQ(next_call().command, "stop");
    EXPECT_EQ(host.stop(), CIRCUS_OK);
    EXPECT_EQ(idle.response(), "");
    EXPECT_EQ(asking.response(), "");
    EXPECT_FALSE(Client(port).is_connected());
    // The same address at once, as a restart of the plugin wants it.
    start({{"listen", "127.0.0.1:" + std::to_string(port)}});
}

TEST_F(ConsoleServerTest, AnAddressInUseIsNamed) {
    start();
    FakeHost second;
    EXPECT_NE(second.start({{"listen", "127.0.0.1:" + std::to_string(port)}}), CIRCUS_OK);
    EXPECT_THAT(second.error(), HasSubstr("cannot listen on http://127.0.0.1:" + std::to_string(port)));
    EXPECT_THAT(second.error(), HasSubstr("in use"));
}

TEST_F(ConsoleServerTest, ALoginIsCheckedOffTheThread) {
    start({{"users",
            {{"ann",
              "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M"}}}});
    Client client(port);
    const std::string body = R"({"user": "ann", "password": "correct horse"})";
    client.send(
        "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
    const std::string response = client.response();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(response, HasSubstr("Set-Cookie: circus_console_" + std::to_string(port) + "="));
}

TEST_F(ConsoleServerTest, WhoIsLoggedInIsKeptForTheNextOne) {
    const std::string listen = [] {
        FakeHost first;
        EXPECT_EQ(first.start({{"listen", "127.0.0.1:0"}, {"token", "a-token-to-operate"}}), CIRCUS_OK);
        std::string line = first.take_lines().front().text;
        line.pop_back();
        return line.substr(line.find("127."));
    }();
    start({{"listen", listen}});
    Client client(port);
    const std::string body = R"({"token": "a-token-to-operate"})";
    client.send(
        "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
    const std::string response = client.response();
    const auto at = response.find("circus_console_");
    ASSERT_NE(at, std::string::npos) << response;
    const std::string cookie = response.substr(at, response.find(';', at) - at);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!host.kept() && std::chrono::steady_clock::now() < deadline) host.poll(milliseconds(1));
    ASSERT_TRUE(host.kept());
    const Json kept = *host.kept();
    EXPECT_EQ(host.stop(), CIRCUS_OK);

    FakeHost next;
    next.leave(kept);
    ASSERT_EQ(next.start({{"listen", listen}, {"token", "a-token-to-operate"}}), CIRCUS_OK) << next.error();
    Client again(port);
    again.send("GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\nCookie: " + cookie + "\r\n\r\n");
    EXPECT_THAT(again.response(), HasSubstr(R"("role":"operate")"));
    EXPECT_EQ(next.stop(), CIRCUS_OK);
}

TEST_F(ConsoleServerTest, AHostThatKeepsNothingWillDo) {
    host.withhold(CIRCUS_EXT_STATE);
    start();
    Client client(port);
    client.send(get("/healthz"));
    EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace circus
