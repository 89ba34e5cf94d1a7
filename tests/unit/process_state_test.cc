#include "model/process_state.hpp"

#include <gtest/gtest.h>

namespace circus::model {
namespace {

using S = ProcessState;
using E = ProcessEvent;
using A = ProcessAct;

TEST(ProcessState, LivesItsLife) {
    EXPECT_EQ(step(S::Idle, E::Spawned).next, S::Running);
    EXPECT_EQ(step(S::Running, E::Stop).next, S::Stopping);
    EXPECT_EQ(step(S::Running, E::Stop).act, A::SendStop);
    EXPECT_EQ(step(S::Stopping, E::GraceOver).next, S::Killing);
    EXPECT_EQ(step(S::Stopping, E::GraceOver).act, A::SendKill);
    EXPECT_EQ(step(S::Killing, E::Exited).next, S::Gone);
}

TEST(ProcessState, AStopBeforeTheSpawnIsAnsweredIsSentOnceThereIsAPid) {
    EXPECT_EQ(step(S::Idle, E::Stop).act, A::None);
    EXPECT_EQ(step(S::Idle, E::Stop).next, S::Stopping);
    EXPECT_EQ(step(S::Stopping, E::Spawned).act, A::SendStop);
    EXPECT_EQ(step(S::Killing, E::Spawned).act, A::SendKill);
}

TEST(ProcessState, NoSignalIsSentTwiceForOneReason) {
    EXPECT_EQ(step(S::Stopping, E::Stop).act, A::None);
    EXPECT_EQ(step(S::Killing, E::GraceOver).act, A::None);
    EXPECT_EQ(step(S::Killing, E::Stop).act, A::None);
}

TEST(ProcessState, AFailedSpawnIsGoneFromEveryStateThatCanSeeOne) {
    for (const S state : {S::Idle, S::Stopping, S::Killing})
        EXPECT_EQ(step(state, E::SpawnFailed).next, S::Gone);
}

TEST(ProcessState, NothingIsSentToTheGone) {
    for (const E event : {E::Spawned, E::SpawnFailed, E::Stop, E::GraceOver, E::Exited})
        EXPECT_EQ(step(S::Gone, event).act, A::None);
}

}  // namespace
}  // namespace circus::model
