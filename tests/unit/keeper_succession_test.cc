#include "keeper_harness.hpp"

namespace circus::keeper {
namespace {

SpawnRequest with_note(SpawnRequest request, std::uint64_t owner) {
    request.note.owner = owner;
    return request;
}

struct Succession : testing::Test {
    Keeper keeper{Keeper::Options{.followed = true}};
};

TEST_F(Succession, TheNextArbiterIsToldOfChildrenAndDescriptors) {
    Output output, other;
    const pid_t pid = keeper.start(5, probe({"stay"}), output);
    keeper.hold(7, other.write_end());
    keeper.save("what is wanted");
    keeper.ready();
    EXPECT_EQ(keeper.hello.generation, 0U);
    keeper.die();
    keeper.follow();
    EXPECT_EQ(keeper.hello.generation, 1U);
    EXPECT_EQ(keeper.hello.last_child, 5U);
    EXPECT_EQ(keeper.saved(), "what is wanted");
    const Message child = keeper.receive(Kind::Child);
    EXPECT_EQ(child.as<ChildMessage>().id, 5U);
    EXPECT_EQ(child.as<ChildMessage>().pid, pid);
    EXPECT_EQ(child.as<ChildMessage>().stopping, 0);
    EXPECT_GT(child.as<ChildMessage>().started_wall, 1e9);
    EXPECT_TRUE(child.fd) << "its pidfd";
    const Message held = keeper.receive(Kind::Held);
    EXPECT_EQ(held.as<HeldMessage>().id, 7U);
    EXPECT_STREQ(held.as<HeldMessage>().name, "test");
    EXPECT_TRUE(held.fd);
    keeper.receive(Kind::Greeted);
    EXPECT_TRUE(is_alive(pid));
}

TEST_F(Succession, AStopThatHasBegunIsTold) {
    Output output;
    keeper.start(1, probe({"stay"}), output);
    output.pid("ready");
    keeper.signal(1, SIGTERM, Scope::Process, true);
    keeper.ready();
    keeper.die();
    keeper.follow();
    EXPECT_GT(keeper.receive(Kind::Child).as<ChildMessage>().stopping, 0);
}

TEST_F(Succession, AnExitThatWasReadButNotTakenInIsToldAgain) {
    Output output;
    keeper.ready();
    keeper.start(1, probe({"exit", "3"}), output);
    keeper.exited(1);
    keeper.die();
    keeper.follow();
    const Message child = keeper.receive(Kind::Child);
    EXPECT_EQ(child.as<ChildMessage>().id, 1U);
    EXPECT_FALSE(child.fd) << "it is reaped";
    keeper.receive(Kind::Greeted);
    EXPECT_EQ(WEXITSTATUS(keeper.exited(1).status), 3);
}

TEST_F(Succession, AnExitThatWasTakenInIsNot) {
    Output output;
    keeper.ready();
    keeper.start(1, probe({"exit", "3"}), output);
    keeper.exited(1);
    keeper.take_in(keeper.received);
    keeper.die();
    keeper.follow();
    keeper.receive(Kind::Greeted);
}

TEST_F(Succession, AnExitWithoutAnArbiterWaitsForTheNext) {
    Output output;
    const pid_t pid = keeper.start(1, probe({"stay"}), output);
    keeper.ready();
    keeper.die();
    kill(pid, SIGKILL);
    keeper.follow();
    keeper.receive(Kind::Child);
    keeper.receive(Kind::Greeted);
    EXPECT_EQ(WTERMSIG(keeper.exited(1).status), SIGKILL);
}

TEST_F(Succession, WhatTheArbiterHadAskedForIsDone) {
    keeper.ready();
    keeper.spawn(1, probe({"stay"}));
    keeper.die();
    keeper.follow();
    EXPECT_EQ(keeper.receive(Kind::Child).as<ChildMessage>().id, 1U);
}

TEST_F(Succession, ASecondDeathIsFollowedAsWell) {
    Output output;
    const pid_t pid = keeper.start(1, probe({"stay"}), output);
    keeper.ready();
    for (unsigned generation = 1; generation <= 3; ++generation) {
        keeper.die();
        keeper.follow();
        EXPECT_EQ(keeper.hello.generation, generation);
        EXPECT_EQ(keeper.receive(Kind::Child).as<ChildMessage>().pid, pid);
        keeper.receive(Kind::Greeted);
    }
}

TEST_F(Succession, AfterItsExitNobodyFollows) {
    keeper.ready();
    keeper.exit(4);
    keeper.die();
    EXPECT_EQ(keeper.wait_exit(), 4);
}

TEST_F(Succession, BeforeItWasReadyItsDeathIsTheEndOfTheStack) {
    Output output;
    const pid_t pid = keeper.start(1, probe({"count", std::to_string(SIGUSR1)}), output);
    keeper.die();
    EXPECT_EQ(keeper.wait_exit(), 1);
    EXPECT_FALSE(is_alive(pid));
}

TEST_F(Succession, WhileItStopsTheStackTheKeeperFinishesThat) {
    Output output;
    const pid_t pid = keeper.start(1, probe({"count", std::to_string(SIGUSR1)}), output);
    keeper.ready();
    kill(keeper.pid(), SIGTERM);
    keeper.receive(Kind::Caught);
    keeper.die();
    EXPECT_EQ(keeper.wait_exit(), 1);
    EXPECT_FALSE(is_alive(pid));
}

TEST(FailingSuccession, IsTriedAgainWhileTheChildrenLive) {
    Keeper keeper({.followed = true, .failing_starts = 2});
    Output output;
    const pid_t pid = keeper.start(1, probe({"stay"}), output);
    keeper.ready();
    keeper.die();
    keeper.follow();
    EXPECT_EQ(keeper.receive(Kind::Child).as<ChildMessage>().pid, pid);
    EXPECT_TRUE(is_alive(pid));
}

TEST(FailingSuccession, TermStopsTheStackAllTheSame) {
    Keeper keeper({.followed = true, .failing_starts = 1000});
    Output output;
    const pid_t pid = keeper.start(1, probe({"count", std::to_string(SIGUSR1)}), output);
    keeper.ready();
    keeper.die();
    kill(keeper.pid(), SIGTERM);
    EXPECT_TRUE(keeper.wait_exit().has_value());
    EXPECT_FALSE(is_alive(pid));
}

TEST_F(Succession, MoreThanTheSocketHoldsIsToldPiecemeal) {
    keeper.ready();
    std::vector<std::unique_ptr<Output>> outputs;
    constexpr ChildId kMany = 300;
    for (ChildId id = 1; id <= kMany; ++id) keeper.spawn(id, with_note(probe({"stay"}), id * 3));
    for (ChildId id = 1; id <= kMany; ++id) keeper.spawned(id);
    keeper.die();
    keeper.follow();
    for (ChildId id = 1; id <= kMany; ++id) EXPECT_EQ(keeper.receive(Kind::Child).as<ChildMessage>().id, id);
    keeper.receive(Kind::Greeted);
}

}  // namespace
}  // namespace circus::keeper
