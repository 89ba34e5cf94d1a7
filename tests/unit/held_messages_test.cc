#include "loop/held_messages.hpp"

#include <gtest/gtest.h>

namespace circus::loop {
namespace {

using Frames = HeldMessages::Frames;
using Sent = HeldMessages::Sent;

constexpr std::size_t kPlenty = 1UL << 30;

struct HeldMessagesTest : testing::Test {
    // Takes everything but from `full`, whose queue has no room, and `gone`.
    HeldMessages::Send take() {
        return [this](const Frames& frames) {
            if (frames[0] == full) return Sent::Full;
            if (frames[0] == gone) return Sent::Gone;
            taken.push_back(frames[0] + frames[1]);
            return Sent::Yes;
        };
    }
    std::string full, gone;
    std::vector<std::string> taken;
};

TEST_F(HeldMessagesTest, EachPeersLeaveInTheirOrderAndAFullOneHoldsNobodyUp) {
    HeldMessages held(kPlenty, kPlenty);
    for (const char* text : {"1", "2"})
        for (const char* peer : {"a", "b", "c"}) EXPECT_TRUE(held.hold({peer, text}));
    full = "b";
    EXPECT_FALSE(held.offer(take(), kPlenty));
    EXPECT_EQ(taken, (std::vector<std::string>{"a1", "a2", "c1", "c2"}));
    EXPECT_TRUE(held.has("b"));
    full.clear();
    EXPECT_FALSE(held.offer(take(), kPlenty));
    EXPECT_EQ(taken.back(), "b2");
    EXPECT_TRUE(held.is_empty());
    EXPECT_EQ(held.bytes(), 0u);
    EXPECT_EQ(held.lost(), 0u);
}

TEST_F(HeldMessagesTest, ABudgetSpreadsTheWorkAndGoesOnWhereItStopped) {
    HeldMessages held(kPlenty, kPlenty);
    for (const char* peer : {"a", "b"})
        for (const char* text : {"1", "2"}) held.hold({peer, text});
    int rounds = 1;
    while (held.offer(take(), 1)) ++rounds;
    EXPECT_GE(rounds, 4);
    EXPECT_EQ(taken, (std::vector<std::string>{"a1", "a2", "b1", "b2"}));
}

TEST_F(HeldMessagesTest, WhatAGonePeerHasIsLostAndCounted) {
    HeldMessages held(kPlenty, kPlenty);
    for (const char* text : {"1", "2"}) held.hold({"a", text});
    held.hold({"b", "1"});
    gone = "a";
    held.offer(take(), kPlenty);
    EXPECT_EQ(taken, std::vector<std::string>{"b1"});
    EXPECT_EQ(held.lost(), 2u);
    EXPECT_TRUE(held.is_empty());
}

TEST_F(HeldMessagesTest, NoPeerHoldsMoreThanItsLimit) {
    HeldMessages held(10'000, kPlenty);
    int kept = 0;
    while (held.hold({"a", std::string(900, 'x')})) ++kept;
    EXPECT_GE(kept, 5);
    EXPECT_LE(held.bytes(), 10'000u);
    EXPECT_TRUE(held.hold({"b", "1"}));
    EXPECT_FALSE(held.hold({"c", std::string(20'000, 'x')}));
    EXPECT_FALSE(held.has("c"));
}

TEST_F(HeldMessagesTest, AtTheLimitOfAllWhoHoldsTheMostLosesIt) {
    HeldMessages held(10'000, 15'000);
    for (int i = 0; i < 9; ++i) held.hold({"greedy", std::string(900, 'x')});
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(held.hold({"modest", std::string(900, 'x')}));
    EXPECT_FALSE(held.has("greedy"));
    EXPECT_EQ(held.lost(), 9u);
    EXPECT_TRUE(held.has("modest"));
}

}  // namespace
}  // namespace circus::loop
