// full_stats against a real UDP socket.
#include <algorithm>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

#include "udp_receiver.hpp"

namespace circus {
namespace {

using std::chrono::milliseconds;
using testing::FakeHost;
using Texts = std::vector<std::string>;

struct FullStatsTest : ::testing::Test {
    void start(Json options = Json::object()) {
        options["host"] = "127.0.0.1";
        options["port"] = server.port();
        ASSERT_EQ(host.start(options), CIRCUS_OK);
    }
    Texts lines_of(circus_status status, const Json& answer) {
        host.advance(std::chrono::seconds(60));
        const auto calls = host.take_calls();
        EXPECT_EQ(calls.size(), 1u);
        EXPECT_EQ(calls.at(0).command, "stats");
        host.reply(status, answer);
        for (int i = 0; i < 500; ++i) {
            host.advance(milliseconds(20));
            if (Texts found = server.lines(20); !found.empty()) return found;
        }
        return {};
    }
    UdpReceiver server;
    FakeHost host;
};

const Json kTwo = {{"7", {{"cpu", 12.5}, {"mem", 1.25}, {"mem_info1", "2.00M"}}},
                   {"8", {{"cpu", 30}, {"mem", 0.5}, {"mem_info1", "1.00K"}}},
                   {"9", "No such process (stopped?)"}};

TEST_F(FullStatsTest, EachWatchersFiguresAreGauges) {
    start();
    EXPECT_EQ(lines_of(CIRCUS_OK, {{"infos", {{"My web", kTwo}, {"plugin:x", kTwo}}}}),
              (Texts{"circus.app.watcher._stats.My_web.watchers_num:2|g",
                     "circus.app.watcher._stats.My_web.cpu_max:30|g",
                     "circus.app.watcher._stats.My_web.cpu_sum:42.5|g",
                     "circus.app.watcher._stats.My_web.mem_pct_max:1.25|g",
                     "circus.app.watcher._stats.My_web.mem_pct_sum:1.75|g",
                     "circus.app.watcher._stats.My_web.mem_max:2097152|g",
                     "circus.app.watcher._stats.My_web.mem_sum:2098176|g"}));
}

TEST_F(FullStatsTest, WhatIsNotKnownIsLeftOut) {
    start({{"dogstatsd", true}});
    const Json hidden = {{"7", {{"cpu", "N/A"}, {"mem", 2}, {"mem_info1", "N/A"}}}};
    EXPECT_EQ(lines_of(CIRCUS_OK, {{"infos", {{"down", Json::object()}, {"web", hidden}}}}),
              (Texts{"circus.app.watcher._stats.watchers_num:0|g|#watcher:down",
                     "circus.app.watcher._stats.watchers_num:1|g|#watcher:web",
                     "circus.app.watcher._stats.mem_pct_max:2|g|#watcher:web",
                     "circus.app.watcher._stats.mem_pct_sum:2|g|#watcher:web"}));
}

TEST_F(FullStatsTest, AnErrorIsCounted) {
    start();
    EXPECT_EQ(lines_of(CIRCUS_E_INVALID, {{"reason", "no"}}), Texts{"circus.app.watcher._stats.error:1|c"});
}

}  // namespace
}  // namespace circus
