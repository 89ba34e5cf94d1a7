#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <sys/un.h>

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

// ---- one that is not ready in time ----

TEST(LateSuccessor, IsEndedAndFollowedAndThePluginItWasInIsNamed) {
    Keeper keeper({.ready_patience = 0.1, .followed = true});
    Output output;
    const pid_t pid = keeper.start(1, probe({"stay"}), output);
    keeper.limits(10'000, 20);
    keeper.ready();
    keeper.die();
    keeper.follow();
    std::strcpy(keeper.page->plugin, "hooks.so");
    std::strcpy(keeper.page->callback, "load");
    keeper.page->is_running.store(1);
    // It says nothing, and nothing becomes of it.
    keeper.follow();
    EXPECT_EQ(keeper.hello.generation, 2U);
    EXPECT_STREQ(keeper.hello.plugin, "hooks.so");
    EXPECT_STREQ(keeper.hello.callback, "load");
    EXPECT_EQ(keeper.receive(Kind::Child).as<ChildMessage>().pid, pid);
    keeper.follow();
    EXPECT_EQ(keeper.hello.generation, 3U);
    EXPECT_STREQ(keeper.hello.plugin, "") << "this one was in none";
    EXPECT_TRUE(is_alive(pid));
}

TEST(LateSuccessor, IsNoneOnceItWasReadyNorWhereNobodyLooks) {
    for (const std::uint64_t arbiter_timeout : {20U, 0U}) {
        Keeper keeper({.ready_patience = 0.5, .followed = true});
        keeper.limits(10'000, arbiter_timeout);
        keeper.ready();
        keeper.die();
        keeper.follow();
        if (arbiter_timeout != 0) {
            keeper.limits(10'000, 60'000);  // no beat is asked of it
            keeper.ready();
        }
        keeper.receive(Kind::Greeted);
        EXPECT_EQ(static_cast<unsigned>(keeper.next(800).kind), 0U);
        EXPECT_TRUE(keeper.is_arbiter_alive());
    }
}

TEST(LateSuccessor, StopsTheStackAllTheSameWhenThatIsAskedFor) {
    Keeper keeper({.ready_patience = 0.1, .followed = true});
    Output output;
    const pid_t pid = keeper.start(1, probe({"count", std::to_string(SIGUSR1)}), output);
    keeper.limits(10'000, 20);
    keeper.ready();
    keeper.die();
    keeper.follow();
    kill(keeper.pid(), SIGTERM);
    EXPECT_EQ(keeper.wait_exit(), 1);
    EXPECT_FALSE(is_alive(pid));
}

// A service manager's end: a watchdog is fed while nobody else could, and not for ever.
TEST(LateSuccessor, HasTheWatchdogFedForAWhile) {
    const std::string name = "@circus-keeper-test-" + std::to_string(getpid());
    const UniqueFd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, name.size());
    address.sun_path[0] = '\0';
    ASSERT_EQ(bind(manager.get(), reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    setenv("WATCHDOG_USEC", "40000", 1);
    Keeper keeper({.ready_patience = 0.1, .followed = true});
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    const auto feeds = [&manager] {
        int count = 0;
        char text[64];
        for (ssize_t got; (got = recv(manager.get(), text, sizeof text, 0)) > 0;)
            if (std::string_view(text, static_cast<std::size_t>(got)) == "WATCHDOG=1") ++count;
        return count;
    };
    keeper.limits(10'000, 20);
    keeper.ready();
    EXPECT_FALSE(eventually([&] { return feeds() > 0; }, 0.1)) << "this one does so by itself";
    keeper.die();
    keeper.follow();
    EXPECT_TRUE(eventually([&, seen = 0]() mutable { return (seen += feeds()) >= 3; }, 5));
    // Five in a row: it is not for want of time that none of them becomes ready.
    for (int i = 0; i < 4; ++i) keeper.follow();
    const auto is_silent = [&] { return !eventually([&] { return feeds() > 0; }, 0.2); };
    EXPECT_TRUE(eventually(is_silent, 5));
}

// ---- a state that does not arrive ----

struct FullKeeper : testing::Test {
    // Until the keeper has no free descriptor.
    void fill() {
        const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
        for (HoldId id = 1; id <= 64; ++id) keeper.hold(id, null.get());
    }
    // What the next arbiter finds.
    std::string found() {
        for (HoldId id = 1; id <= 64; ++id) {
            DropMessage message;
            message.id = id;
            keeper.send(&message, sizeof message);
        }
        keeper.ready();
        keeper.die();
        keeper.follow();
        return keeper.saved();
    }
    Keeper keeper{Keeper::Options{.nofile = 40, .followed = true}};
};

TEST_F(FullKeeper, KeepsTheStateBeforeAndSaysSo) {
    keeper.save("before");
    fill();
    keeper.save("after");
    keeper.receive(Kind::Unsaved);
    EXPECT_EQ(found(), "before");
}

TEST_F(FullKeeper, HasRoomForTheStateWhenItIsSentAgain) {
    keeper.save("before");
    fill();
    for (const char* const state : {"after", "later"}) {
        keeper.save(state);
        keeper.receive(Kind::Unsaved);
        keeper.save(state);
    }
    EXPECT_EQ(found(), "later");
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
