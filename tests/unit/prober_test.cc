// Looks at addresses, against real sockets.
#include "loop/prober.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "loop/timer.hpp"
#include "loopback_server.hpp"

namespace circus::loop {
namespace {

using testing::HasSubstr;

const std::string kAsk = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

LoopbackServer::Answer saying(std::string text) {
    return [text = std::move(text)](std::string& received) -> std::string {
        if (received.find("\r\n\r\n") == std::string::npos) return {};
        received.clear();
        return text;
    };
}

struct ProberTest : testing::Test {
    // What came of a look, or what it says when nothing did.
    std::string look(ProbeTarget target) {
        results.clear();
        prober.look(1, std::move(target));
        EXPECT_TRUE(results.empty()) << "called back from inside a call";
        wait_until([&] { return !results.empty(); });
        if (results.empty()) return "nothing came of it";
        return results.at(1) ? "answered" : results.at(1).error().text;
    }
    bool wait_until(const std::function<bool()>& condition) {
        bool late = false;
        Timer deadline(loop, [&] { late = true; });
        deadline.start(std::chrono::seconds(10));
        while (!condition() && !late) loop.run_once();
        return condition();
    }

    Loop loop;
    Worker names{loop};
    std::map<Prober::Id, Status> results;
    Prober prober{loop, names, [this](Prober::Id id, const Status& result) { results.emplace(id, result); }};
};

TEST_F(ProberTest, AListenerThatAcceptsIsAllThatTcpAsksFor) {
    const LoopbackServer server(saying(""));
    EXPECT_EQ(look({"127.0.0.1", server.port(), "", ""}), "answered");
    EXPECT_EQ(look({"localhost", server.port(), "", ""}), "answered") << "a name, looked up elsewhere";
}

TEST_F(ProberTest, NobodyThereIsTheSystemsReason) {
    int port = 0;
    { port = LoopbackServer(saying("")).port(); }
    EXPECT_EQ(look({"127.0.0.1", port, "", ""}), "Connection refused");
    EXPECT_EQ(look({"", 0, "/nowhere/socket", ""}), "No such file or directory");
}

TEST_F(ProberTest, AUnixSocketWillDo) {
    const std::string path = cat("/tmp/circus-prober-", ::getpid());
    const LoopbackServer server(saying("HTTP/1.1 200 OK\r\n\r\n"), path);
    EXPECT_EQ(look({"", 0, path, ""}), "answered");
    EXPECT_EQ(look({"", 0, path, kAsk}), "answered");
    std::filesystem::remove(path);
}

TEST_F(ProberTest, AnHttpStatusOfTwoOrThreeHundredIsAnAnswerAndNothingElse) {
    struct Row {
        std::string says;
        std::string expected;
    };
    const std::vector<Row> rows = {
        {"HTTP/1.1 200 OK\r\n\r\n", "answered"},
        {"HTTP/1.0 204 No Content\r\n\r\n", "answered"},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "answered"},
        {"HTTP/1.1 404 Not Found\r\n\r\n", "it answered 404"},
        {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "it answered 503"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "what it answered is no HTTP"},
    };
    for (const Row& row : rows) {
        const LoopbackServer server(saying(row.says));
        EXPECT_EQ(look({"127.0.0.1", server.port(), "", kAsk}), row.expected) << row.says;
    }
}

TEST_F(ProberTest, AHostThatThereIsNotIsSaidByItsName) {
    EXPECT_THAT(look({"no.such.host.invalid", 80, "", ""}), HasSubstr("no.such.host.invalid"));
}

TEST_F(ProberTest, ALookThatWasDroppedSaysNothing) {
    const LoopbackServer server(saying(""));
    prober.look(1, {"localhost", server.port(), "", kAsk});
    prober.look(2, {"127.0.0.1", server.port(), "", kAsk});
    prober.look(3, {"127.0.0.1", server.port(), "", ""});
    prober.drop(1);
    prober.drop(2);
    prober.drop(4711);
    EXPECT_TRUE(wait_until([&] { return results.contains(3); }));
    EXPECT_EQ(results.size(), 1U);
}

}  // namespace
}  // namespace circus::loop
