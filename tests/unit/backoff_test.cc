#include "model/backoff.hpp"

#include <gtest/gtest.h>

namespace circus::model {
namespace {

using namespace std::chrono_literals;
const BackoffPolicy kPolicy{1s, 5s};
constexpr double kNoJitter = 0.5;

TEST(Backoff, ALongLifeIsReplacedAtOnceAndForgetsTheDelay) {
    EXPECT_EQ(next_delay(4s, 1s, kPolicy, kNoJitter), 0s);
}

TEST(Backoff, ShortLivesDoubleTheDelayFromTenMillisecondsToTheCap) {
    Duration delay{};
    for (const Duration expected :
         {10ms, 20ms, 40ms, 80ms, 160ms, 320ms, 640ms, 1280ms, 2560ms, 5000ms, 5000ms}) {
        delay = next_delay(delay, 0s, kPolicy, kNoJitter);
        EXPECT_EQ(delay, expected);
    }
}

TEST(Backoff, JitterStaysWithinAQuarterAndUnderTheCap) {
    EXPECT_EQ(next_delay(40ms, 0s, kPolicy, 0.0), 60ms);
    EXPECT_EQ(next_delay(40ms, 0s, kPolicy, 1.0), 100ms);
    EXPECT_EQ(next_delay(4s, 0s, kPolicy, 1.0), 5s);
}

}  // namespace
}  // namespace circus::model
