// How long it is remembered in whose call an arbiter died.
#include "bin/plugin_deaths.hpp"

#include <gtest/gtest.h>

namespace circus::bin {
namespace {

using namespace std::chrono_literals;

// How many deaths of one plugin there are when so many have come at that distance.
std::size_t counted(int deaths, Duration apart, Duration arbiter_timeout, bool is_loading = false) {
    PluginDeaths record;
    std::size_t count = 0;
    for (int i = 0; i < deaths; ++i) {
        const TimePoint now = TimePoint(1000s) + i * apart;
        record.forget_before(now - PluginDeaths::window(arbiter_timeout, is_loading));
        count = record.add("loops", now);
    }
    return count;
}

TEST(PluginDeaths, AreRememberedForAMinute) {
    EXPECT_EQ(counted(3, 20s, 10s), 3U);
    EXPECT_EQ(counted(3, 31s, 10s), 2U);
    EXPECT_EQ(counted(3, 31s, 0s), 2U) << "where nobody looks whether the arbiter hangs";
}

TEST(PluginDeaths, ThreeHangsAreRememberedHoweverLongEachOfThemTakes) {
    for (const Duration arbiter_timeout : {30s, 60s, 600s})
        EXPECT_EQ(counted(3, arbiter_timeout + 5s, arbiter_timeout), 3U);
}

TEST(PluginDeaths, SoAreThreeThatKeptAnArbiterFromBecomingReady) {
    for (const Duration arbiter_timeout : {10s, 60s, 600s})
        EXPECT_EQ(counted(3, 3 * arbiter_timeout + 1s, arbiter_timeout, true), 3U);
}

TEST(PluginDeaths, OfOnePluginAreNotThoseOfAnother) {
    PluginDeaths record;
    EXPECT_EQ(record.add("loops", TimePoint(1s)), 1U);
    EXPECT_EQ(record.add("dies", TimePoint(2s)), 1U);
    EXPECT_EQ(record.add("loops", TimePoint(3s)), 2U);
    record.forget("loops");
    EXPECT_EQ(record.all().size(), 1U);
    EXPECT_EQ(record.add("dies", TimePoint(4s)), 2U);
}

}  // namespace
}  // namespace circus::bin
