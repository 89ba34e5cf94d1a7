// statsd, and circus/statsd.hpp under it, against a real UDP socket.
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/statsd.hpp>
#include <circus/testing.hpp>

#include "udp_receiver.hpp"

namespace circus {
namespace {

using std::chrono::milliseconds;
using testing::FakeHost;
using Texts = std::vector<std::string>;

struct StatsdTest : ::testing::Test {
    void start(Json options = Json::object()) {
        if (!options.contains("host")) options["host"] = "127.0.0.1";
        options["port"] = server.port();
        ASSERT_EQ(host.start(options), CIRCUS_OK);
    }
    // The lookup is the C library's, on its thread: time is turned until something arrives, or too long.
    Texts lines() {
        for (int i = 0; i < 500; ++i) {
            host.advance(milliseconds(20));
            if (Texts found = server.lines(20); !found.empty()) return found;
        }
        return {};
    }
    UdpReceiver server;
    FakeHost host;
};

TEST_F(StatsdTest, AnEventIsOneUpUnderCircussName) {
    start();
    host.emit("watcher.web.reap", {{"watcher", "web"}});
    EXPECT_EQ(lines(), Texts{"circus.app.watcher.web.reap:1|c"});
}

TEST_F(StatsdTest, EventsOfOneTurnShareADatagram) {
    start({{"application_name", "shop"}});
    host.emit("watcher.web.kill");
    host.emit("watcher.my_job.stop");
    host.emit("operation.web.stop");
    EXPECT_EQ(lines(), (Texts{"circus.shop.watcher.web.kill:1|c", "circus.shop.watcher.my_job.stop:1|c"}));
}

TEST_F(StatsdTest, PunctuationInANameIsNotStatsDs) {
    start({{"application_name", "a.b"}});
    host.emit("watcher.w.1:x|y.start");
    EXPECT_EQ(lines(), Texts{"circus.a_b.watcher.w_1_x_y.start:1|c"});
}

TEST_F(StatsdTest, TagsAreDogStatsDs) {
    start({{"tags", {"env:prod", "dc:x"}}, {"dogstatsd", true}});
    host.emit("watcher.web.reap");
    EXPECT_EQ(lines(), Texts{"circus.app.watcher.reap:1|c|#env:prod,dc:x,watcher:web"});
}

TEST_F(StatsdTest, ASampleRateIsKeptToAndTold) {
    start({{"sample_rate", 0.25}});
    for (int i = 0; i < 2000; ++i) host.emit("watcher.web.reap");
    std::size_t count = 0;
    for (Texts found = lines(); !found.empty(); found = server.lines(50)) {
        count += found.size();
        EXPECT_EQ(found[0], "circus.app.watcher.web.reap:1|c|@0.25");
    }
    EXPECT_GT(count, 300u);
    EXPECT_LT(count, 700u);
}

TEST_F(StatsdTest, DatagramsStayBelowAnEthernetFrame) {
    start();
    for (int i = 0; i < 200; ++i) host.emit("watcher.web.reap");
    std::size_t count = 0;
    for (Texts found = lines(); !found.empty(); found = server.lines(50)) {
        std::size_t size = found.size() - 1;
        for (const auto& line : found) size += line.size();
        EXPECT_LE(size, Statsd::kDatagram);
        count += found.size();
    }
    EXPECT_EQ(count, 200u);
}

TEST_F(StatsdTest, ANameIsLookedUpOffTheLoopAndNothingIsLostMeanwhile) {
    start({{"host", "localhost"}});
    host.emit("watcher.web.reap");
    EXPECT_EQ(lines(), Texts{"circus.app.watcher.web.reap:1|c"});
}

TEST_F(StatsdTest, ANameThatIsUnknownIsToldOnceAndHarmsNothing) {
    start({{"host", "no such host"}});
    for (int i = 0; i < 300 && host.take_lines().empty(); ++i) {
        host.advance(milliseconds(20));
        server.lines(10);
    }
    for (int i = 0; i < 20000; ++i) host.emit("watcher.web.reap");
    host.advance(std::chrono::seconds(1));
    EXPECT_TRUE(server.lines().empty());
}

TEST_F(StatsdTest, StoppedInTheMiddleOfALookupItLeavesAtOnce) {
    start({{"host", "a.name.that.is.not.there.invalid"}});
    host.emit("watcher.web.reap");
    EXPECT_EQ(host.stop(), CIRCUS_OK);
}

}  // namespace
}  // namespace circus
