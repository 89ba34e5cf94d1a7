// Steering with real listeners, real connections and the real program; skipped where the kernel refuses it.
#include "sys/steering.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstring>
#include <netinet/in.h>
#include <numeric>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "sys/listen.hpp"
#include "sys/reuseport_group.hpp"
#include "sys/sock_diag.hpp"

namespace circus::sys {
namespace {

using By = Steering::By;

struct SteeringTest : ::testing::TestWithParam<const char*> {
    void SetUp() override {
        const auto allowed = Steering::open(By::RoundRobin);
        if (!allowed) GTEST_SKIP() << allowed.error().text;
        for (int i = 0; i < 4; ++i) listen();
    }
    void listen() {
        ListenSpec spec;
        spec.host = GetParam();
        if (spec.host.find(':') != std::string::npos) spec.family = ListenSpec::Family::Inet6;
        spec.port = group.empty() ? 0 : group.front().port;
        spec.so_reuseport = true;
        spec.blocking = true;
        auto listener = listen_on(spec);
        ASSERT_TRUE(listener) << listener.error().text;
        group.push_back(std::move(*listener));
    }
    Steering steer(By by) {
        auto steering = Steering::open(by);
        EXPECT_TRUE(steering) << steering.error().text;
        for (unsigned place = 0; place < group.size(); ++place)
            EXPECT_TRUE(steering->put(place, group[place].fd.get()));
        EXPECT_TRUE(steering->attach(group[0].fd.get()));
        return std::move(*steering);
    }
    void knock(int times) {
        for (int i = 0; i < times; ++i) {
            const bool v6 = std::strchr(GetParam(), ':') != nullptr;
            UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            sockaddr_in6 to6{};
            to6.sin6_family = AF_INET6;
            to6.sin6_addr = in6addr_loopback;
            sockaddr_in to4{};
            to4.sin_family = AF_INET;
            to4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            to6.sin6_port = to4.sin_port = htons(static_cast<std::uint16_t>(group.front().port));
            const auto* to = v6 ? reinterpret_cast<const sockaddr*>(&to6) : reinterpret_cast<sockaddr*>(&to4);
            ASSERT_EQ(::connect(fd.get(), to, v6 ? sizeof to6 : sizeof to4), 0) << std::strerror(errno);
            clients.push_back(std::move(fd));
        }
    }
    std::vector<std::uint64_t> queued() const {
        std::vector<std::uint64_t> all;
        for (const Listener& each : group) all.push_back(each.fd ? accept_queue(each.fd.get())->length : 0);
        return all;
    }
    using Counts = std::vector<std::uint64_t>;
    std::vector<Listener> group;
    std::vector<UniqueFd> clients;
};

TEST_P(SteeringTest, TheyTakeTurns) {
    Steering steering = steer(By::RoundRobin);
    steering.choose({0, 1, 2, 3});
    knock(400);
    EXPECT_EQ(queued(), (Counts{100, 100, 100, 100}));
    EXPECT_EQ(steering.picks(2), 100u);
}

TEST_P(SteeringTest, OnlyThoseThatAreChosenTakePart) {
    Steering steering = steer(By::RoundRobin);
    steering.choose({0, 3});
    knock(20);
    EXPECT_EQ(queued(), (Counts{10, 0, 0, 10}));
    steering.choose({2});
    knock(5);
    EXPECT_EQ(queued(), (Counts{10, 0, 5, 10}));
}

TEST_P(SteeringTest, WhoHasMostGetsNoneUntilTheOthersHaveAsMany) {
    Steering steering = steer(By::LeastLoaded);
    steering.choose({0, 1, 2, 3});
    steering.feed(1, 50, steering.picks(1));
    knock(150);
    EXPECT_EQ(queued(), (Counts{50, 0, 50, 50}));
    knock(4);
    EXPECT_EQ(queued(), (Counts{51, 1, 51, 51}));
}

TEST_P(SteeringTest, WhatWasPickedDuringAMeasurementCounts) {
    Steering steering = steer(By::LeastLoaded);
    steering.choose({0, 1});
    const std::uint64_t before = steering.picks(0);
    knock(10);  // five each, while it is looked
    steering.feed(0, 7, before);
    EXPECT_EQ(steering.load(0), 12);
    EXPECT_EQ(steering.load(1), 5);
    knock(7);
    EXPECT_EQ(queued(), (Counts{5, 12, 0, 0}));
}

TEST_P(SteeringTest, AmongEqualsTheyTakeTurns) {
    Steering steering = steer(By::LeastLoaded);
    steering.choose({0, 1, 2, 3});
    for (int round = 0; round < 8; ++round) {
        knock(1);
        for (unsigned place = 0; place < 4; ++place) steering.feed(place, 0, steering.picks(place));
    }
    EXPECT_EQ(queued(), (Counts{2, 2, 2, 2}));
}

TEST_P(SteeringTest, WhereNoneIsChosenOrAChosenOneIsGoneTheKernelDoes) {
    Steering steering = steer(By::RoundRobin);
    knock(40);
    const auto sum = [this] {
        const Counts all = queued();
        return std::accumulate(all.begin(), all.end(), std::uint64_t{0});
    };
    EXPECT_EQ(sum(), 40u);
    steering.choose({0, 1, 2, 3});
    group[3].fd.reset();
    const std::uint64_t left = sum();
    knock(40);
    EXPECT_EQ(sum(), left + 40);
}

TEST_P(SteeringTest, TheNextOneGoesOnWithItsMapAndTheGroupObeysIt) {
    UniqueFd map;
    {
        Steering first = steer(By::RoundRobin);
        first.choose({0});
        knock(3);
        map = UniqueFd(::dup(first.listeners()));
    }
    knock(3);  // nobody is there, and it goes on
    EXPECT_EQ(queued(), (Counts{6, 0, 0, 0}));
    auto second = Steering::open(By::LeastLoaded, std::move(map));
    ASSERT_TRUE(second) << second.error().text;
    for (unsigned place = 0; place < 4; ++place) ASSERT_TRUE(second->put(place, group[place].fd.get()));
    second->choose({1, 2});
    ASSERT_TRUE(second->attach(group[3].fd.get()));
    knock(6);
    EXPECT_EQ(queued(), (Counts{6, 3, 3, 0}));
}

TEST_P(SteeringTest, AListenerIsInOneMapAtATime) {
    Steering first = steer(By::RoundRobin);
    auto second = Steering::open(By::RoundRobin);
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->put(0, group[0].fd.get()));
    first.take_out(0);
    EXPECT_TRUE(second->put(0, group[0].fd.get()));
}

TEST_P(SteeringTest, AnotherWayIsInForceWhenItIsAttached) {
    Steering steering = steer(By::RoundRobin);
    steering.choose({0, 1});
    steering.feed(0, 100, 0);
    ASSERT_TRUE(steering.change(By::LeastLoaded));
    ASSERT_TRUE(steering.attach(group[0].fd.get()));
    knock(10);
    EXPECT_EQ(queued(), (Counts{0, 10, 0, 0}));
    ASSERT_TRUE(steer_to_all(group[0].fd.get()));
    knock(40);
    EXPECT_LT(queued()[1], 50u) << "the kernel's hash again";
}

TEST_P(SteeringTest, WhatIsQueuedOnAListenerThatClosesGoesToOneThatIsChosen) {
    Steering steering = steer(By::RoundRobin);
    steering.choose({3});
    knock(9);
    steering.choose({0, 1, 2});
    group[3].fd.reset();
    EXPECT_EQ(queued(), (Counts{3, 3, 3, 0}));
}

TEST_P(SteeringTest, TheMostPlacesThereAre) {
    while (group.size() < 200) listen();
    auto steering = Steering::open(By::LeastLoaded);
    ASSERT_TRUE(steering);
    std::vector<unsigned> places;
    for (unsigned i = 0; i < group.size(); ++i) {
        places.push_back(Steering::kMost - 1 - i);
        ASSERT_TRUE(steering->put(places.back(), group[i].fd.get()));
    }
    EXPECT_FALSE(steering->put(Steering::kMost, group[0].fd.get()));
    ASSERT_TRUE(steering->attach(group[0].fd.get()));
    steering->choose(places);
    knock(400);
    EXPECT_EQ(queued(), Counts(200, 2));
}

INSTANTIATE_TEST_SUITE_P(Families, SteeringTest, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& each) { return each.index == 0 ? "Inet" : "Inet6"; });

}  // namespace
}  // namespace circus::sys
