// What the kernel tells of those it has killed.
#include "sys/oom_counts.hpp"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace circus::sys {
namespace {

std::string file(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + "circus-oom-" + name;
    std::ofstream(path) << text;
    return path;
}

TEST(OomCounts, TheLineIsFoundWhateverStandsAroundIt) {
    EXPECT_EQ(oom_kills_in("low 0\nhigh 0\nmax 3\noom 5\noom_kill 2\noom_group_kill 1\n"), 2U);
    EXPECT_EQ(oom_kills_in("oom_kill_disable 0\nunder_oom 0\noom_kill 7"), 7U);
    EXPECT_EQ(oom_kills_in("oom_kill_disable 0\nunder_oom 0\n"), std::nullopt);
    EXPECT_EQ(oom_kills_in("my_oom_kill 4\n"), std::nullopt);
    EXPECT_EQ(oom_kills_in("oom_kill x\n"), std::nullopt);
}

TEST(OomCounts, WhatIsNotToldIsLeftOut) {
    const OomCounts both(file("here", "oom_kill 1\n"), file("machine", "nr_free_pages 5\noom_kill 9\n"));
    EXPECT_EQ(both.read().here, 1U);
    EXPECT_EQ(both.read().machine, 9U);
    const OomCounts none("", "/nonexistent");
    EXPECT_EQ(none.read().here, std::nullopt);
    EXPECT_EQ(none.read().machine, std::nullopt);
}

TEST(OomCounts, WhateverThisMachineTellsDoesNotGoBack) {
    const OomCounts own;
    const auto before = own.read(), after = own.read();
    EXPECT_EQ(before.here.has_value(), after.here.has_value());
    EXPECT_EQ(before.machine.has_value(), after.machine.has_value());
    EXPECT_LE(before.here.value_or(0), after.here.value_or(0));
    EXPECT_LE(before.machine.value_or(0), after.machine.value_or(0));
}

}  // namespace
}  // namespace circus::sys
