// What the tests of all observers have in common: one look from its beginning to its end.
#pragma once

#include <chrono>
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

#include "name_server.hpp"

namespace circus {

struct ObserverTest : ::testing::Test {
    // As circusd has it.
    static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }

    void start(Json options) {
        options["loop_rate"] = 0.1;
        if (!options.contains("boot_time")) options["boot_time"] = 0;
        ASSERT_EQ(host.start(options), CIRCUS_OK) << host.error();
    }
    // Turns the loop until `done` or, at the latest, for ten seconds. Time passes at twice its speed: what is
    // real has time enough.
    template <class Done>
    bool turn(Done done) {
        for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10); !done();) {
            if (std::chrono::steady_clock::now() > end) return false;
            host.poll(std::chrono::milliseconds(5));
            host.advance(std::chrono::milliseconds(10));
        }
        return true;
    }
    // The event of the next look.
    testing::FakeHost::Event look() {
        std::vector<testing::FakeHost::Event> events;
        const bool ended = turn([&] {
            events = host.take_published();
            return !events.empty();
        });
        EXPECT_TRUE(ended) << "no look was over";
        EXPECT_LE(events.size(), 1u);
        return ended ? events.front() : testing::FakeHost::Event{};
    }
    std::string result() { return look().payload.value("result", ""); }
    std::string reason() { return look().payload.value("reason", ""); }
    // The names of the commands since the last time.
    std::vector<std::string> commands() {
        std::vector<std::string> names;
        for (const auto& call : host.take_calls())
            names.push_back(call.command + " " + call.properties.value("name", ""));
        return names;
    }
    testing::FakeHost host;
};

}  // namespace circus
