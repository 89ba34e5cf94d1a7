// The socket table and those who feed it, over real listeners and connections; skipped where the kernel
// refuses the program.
#include <arpa/inet.h>
#include <csignal>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

#include "fake_stack.hpp"
#include "supervise/load_watch.hpp"
#include "sys/sock_diag.hpp"

namespace circus::supervise {
namespace {

using testing::SizeIs;

// Holds duplicates, as the keeper does, so that another table can go on with them.
class HoldingKeeper final : public KeeperPort {
  public:
    void spawn(ChildId, const keeper::SpawnRequest&) override {}
    void signal(ChildId, int, keeper::Scope, pid_t, bool) override {}
    void hold(HoldId id, std::string_view, int fd) override { held[id] = UniqueFd(::dup(fd)); }
    void drop(HoldId id) override { held.erase(id); }
    std::map<HoldId, UniqueFd> held;
};

config::SocketConfig door(config::SteeringKind steering) {
    config::SocketConfig socket;
    socket.name = "door";
    socket.host = "127.0.0.1";
    socket.port = 0;
    socket.so_reuseport = true;
    socket.steering = steering;
    return socket;
}

UniqueFd knock_at(int port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return fd;
}

struct SocketSteeringTest : testing::Test {
    void SetUp() override {
        const auto allowed = sys::Steering::open(sys::Steering::By::RoundRobin);
        if (!allowed) GTEST_SKIP() << allowed.error().text;
    }
    void bind(config::SteeringKind steering, int count = 4) {
        ASSERT_TRUE(table.bind({door(steering)}, keeper));
        for (int wid = 1; wid <= count; ++wid) ASSERT_TRUE(table.for_worker("door", "Web", wid));
    }
    void knock(int times) {
        for (int i = 0; i < times; ++i) clients.push_back(knock_at(table.find("door")->port));
    }
    std::vector<std::uint64_t> queued() const {
        std::vector<std::uint64_t> all;
        for (const auto& [key, slot] : table.find("door")->slots)
            all.push_back(sys::accept_queue(slot.fd.get())->length);
        return all;
    }
    // What the next arbiter has is what was saved and what the keeper holds.
    void take_over() {
        const Json saved = table.saved();
        std::map<HoldId, UniqueFd> held;
        for (const auto& [id, fd] : keeper.held) held[id] = UniqueFd(::dup(fd.get()));
        table = SocketTable();
        ASSERT_TRUE(table.restore(saved, std::move(held), keeper));
    }
    void configure(config::SteeringKind steering) {
        auto staged = StagedSockets::stage(table.present(), {door(steering)});
        ASSERT_TRUE(staged) << staged.error().text;
        table.replace(std::move(*staged), keeper);
    }
    using Counts = std::vector<std::uint64_t>;
    HoldingKeeper keeper;
    SocketTable table;
    std::vector<UniqueFd> clients;
};

using enum config::SteeringKind;

TEST_F(SocketSteeringTest, OnlySlotsWithAWorkerThatAcceptsTakeTurns) {
    bind(RoundRobin);
    EXPECT_TRUE(table.is_steering());
    knock(8);
    EXPECT_EQ(queued(), (Counts{2, 2, 2, 2})) << "nobody accepts yet: they wait for who comes";
    table.tell_workers("web", {true, false, true, true});
    knock(9);
    EXPECT_EQ(queued(), (Counts{5, 2, 5, 5}));
    table.tell_workers("web", {true, true, true, true});
    knock(4);
    EXPECT_EQ(queued(), (Counts{6, 3, 6, 6}));
}

TEST_F(SocketSteeringTest, WhoIsDrainedGetsNoneAndWhatWaitsWhereItIsTrimmedGoesToOthers) {
    bind(RoundRobin);
    table.tell_workers("web", {true, true, true, true});
    knock(8);
    table.drain("web", 2);
    knock(8);
    EXPECT_EQ(queued(), (Counts{6, 6, 2, 2}));
    table.trim("web", 2);
    EXPECT_EQ(queued(), (Counts{8, 8}));
    ASSERT_TRUE(table.for_worker("door", "web", 3));
    table.tell_workers("web", {true, true, true});
    knock(3);
    EXPECT_EQ(queued(), (Counts{9, 9, 1}));
}

TEST_F(SocketSteeringTest, TwoWatchersShareIt) {
    bind(RoundRobin, 2);
    ASSERT_TRUE(table.for_worker("door", "other", 1));
    table.tell_workers("web", {false, false});
    table.tell_workers("other", {true});
    knock(3);
    EXPECT_EQ(queued(), (Counts{3, 0, 0}));
}

TEST_F(SocketSteeringTest, AGroupThatIsMadeAnewIsSteeredToo) {
    bind(RoundRobin, 1);
    table.trim("web", 0);
    ASSERT_TRUE(table.for_worker("door", "web", 1) && table.for_worker("door", "web", 2));
    knock(4);
    EXPECT_EQ(queued(), (Counts{2, 2}));
}

TEST_F(SocketSteeringTest, TheNextArbiterGoesOnWhereEachConnectionGoes) {
    bind(RoundRobin);
    table.tell_workers("web", {true, true, true, true});
    table.drain("web", 3);
    knock(3);
    take_over();
    knock(3);
    EXPECT_EQ(queued(), (Counts{2, 2, 2, 0}));
    table.tell_workers("web", {false, true, true, true});
    knock(2);
    EXPECT_EQ(queued(), (Counts{2, 3, 3, 0}));
    ASSERT_TRUE(table.for_worker("door", "web", 5));
    table.tell_workers("web", {true, true, true, true, true});
    knock(4);
    EXPECT_EQ(queued(), (Counts{3, 4, 4, 0, 1}));
}

TEST_F(SocketSteeringTest, WithoutItsMapItIsTheKernelsAndSaysSo) {
    bind(RoundRobin);
    keeper.drop(table.find("door")->steering_hold);
    take_over();
    EXPECT_FALSE(table.is_steering());
    EXPECT_THAT(table.find("door")->unsteered, testing::HasSubstr("steering by eBPF"));
    knock(40);
    const Counts all = queued();
    EXPECT_EQ(all[0] + all[1] + all[2] + all[3], 40u);
}

TEST_F(SocketSteeringTest, WithoutItsMapWhoLeavesIsSteeredAroundAllTheSame) {
    bind(RoundRobin);
    table.tell_workers("web", {true, true, true, true});
    table.drain("web", 3);
    keeper.drop(table.find("door")->steering_hold);
    take_over();
    EXPECT_FALSE(table.is_steering());
    knock(40);
    const Counts all = queued();
    EXPECT_EQ(all[3], 0u);
    EXPECT_EQ(all[0] + all[1] + all[2], 40u);
}

TEST_F(SocketSteeringTest, AReloadChangesHow) {
    bind(Kernel, 2);
    EXPECT_FALSE(table.is_steering());
    configure(RoundRobin);
    table.tell_workers("web", {true, true});
    knock(6);
    EXPECT_EQ(queued(), (Counts{3, 3}));
    configure(LeastLoaded);
    EXPECT_TRUE(table.is_steering_by_load());
    auto measured = table.to_measure();
    ASSERT_THAT(measured, SizeIs(1));
    measured[0].rows[0].load = 3;
    measured[0].rows[1].load = 9;
    table.feed(measured[0]);
    knock(6);
    EXPECT_EQ(queued(), (Counts{9, 3}));
    configure(Kernel);
    EXPECT_FALSE(table.is_steering());
    EXPECT_THAT(keeper.held, SizeIs(2)) << "its map is nobody's any more";
    knock(40);
    EXPECT_GT(queued()[1], 3u);
}

struct LoadWatchTest : SocketSteeringTest {
    void SetUp() override {
        SocketSteeringTest::SetUp();
        if (!IsSkipped()) bind(LeastLoaded, 2);
    }
    // Whether anything was looked at.
    bool look() {
        watch.look(clock.now());
        const bool looked = !worker.jobs.empty();
        for (auto& [job, then] : std::exchange(worker.jobs, {})) {
            job();
            then();
        }
        return looked;
    }
    std::int64_t load(int wid) const {
        const auto& socket = *table.find("door");
        return socket.steering->load(*socket.slots.at({"web", wid}).place);
    }
    UniqueFd accept(int wid) {
        return UniqueFd(::accept(table.find("door")->slots.at({"web", wid}).fd.get(), nullptr, nullptr));
    }
    FakeClock clock;
    FakeWorker worker;
    LoadWatch watch{&worker, table};
};

TEST_F(LoadWatchTest, WhatWaitsAndWhatAWorkerHasInHandIsItsLoad) {
    table.tell_workers("web", {true, true});
    knock(6);
    ASSERT_TRUE(look());
    EXPECT_EQ(load(1), 3);
    EXPECT_EQ(load(2), 3);
    UniqueFd one = accept(1), two = accept(1);
    ASSERT_TRUE(look());
    EXPECT_EQ(load(1), 3) << "one waits, two are in hand";
    one.reset();
    two.reset();
    ASSERT_TRUE(look());
    EXPECT_EQ(load(1), 1);
    knock(2);
    EXPECT_EQ(queued(), (Counts{3, 3}));
}

TEST_F(LoadWatchTest, WhoeverHasItInHandAndHoweverItCameThere) {
    table.tell_workers("web", {true, true});
    knock(4);
    const UniqueFd kept = accept(1);
    const pid_t child = ::fork();
    if (child == 0) {
        const UniqueFd mine = accept(1);
        ::pause();
    }
    ASSERT_GT(child, 0);
    const auto deadline = Monotonic::now() + std::chrono::seconds(5);
    while (queued()[0] > 0 && Monotonic::now() < deadline) ::sched_yield();
    EXPECT_EQ(queued(), (Counts{0, 2}));
    ASSERT_TRUE(look());
    EXPECT_EQ(load(1), 2) << "one here and one in a child";
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    clients.clear();
    ASSERT_TRUE(look());
    EXPECT_EQ(load(1), 1) << "closed by the other side, but in hand still";
}

TEST_F(LoadWatchTest, WhatWasAcceptedBeforeATakeOverCounts) {
    table.tell_workers("web", {true, true});
    knock(4);
    const UniqueFd one = accept(1), two = accept(1);
    take_over();
    EXPECT_EQ(load(1), 0);
    ASSERT_TRUE(look());
    EXPECT_EQ(load(1), 2);
    EXPECT_EQ(load(2), 2);
}

TEST_F(LoadWatchTest, WithoutTheMarksOfBeforeItGoesOnWithWhatComes) {
    knock(2);
    keeper.drop(table.find("door")->marks_hold);
    take_over();
    EXPECT_TRUE(table.is_steering());
    EXPECT_THAT(keeper.held, SizeIs(4)) << "two listeners, two maps";
    knock(2);
    ASSERT_TRUE(look());
    EXPECT_EQ(load(1) + load(2), 2);
}

TEST_F(LoadWatchTest, WhereALookTakesLongItLooksLessOften) {
    EXPECT_EQ(LoadWatch::period_after(std::chrono::microseconds(100)), LoadWatch::kPeriod);
    EXPECT_EQ(LoadWatch::period_after(std::chrono::milliseconds(1)), std::chrono::seconds(1));
    EXPECT_EQ(LoadWatch::period_after(std::chrono::seconds(1)), LoadWatch::kLongestPeriod);
}

TEST_F(LoadWatchTest, WhereNothingIsAndNothingCameNothingIsLookedAt) {
    ASSERT_TRUE(look());
    EXPECT_FALSE(look());
    knock(1);
    EXPECT_TRUE(look());
    EXPECT_TRUE(look()) << "one waits still";
}

TEST_F(LoadWatchTest, OneRoundAtATimeAndNoneWhereNobodyAsks) {
    watch.want(clock.now());
    ASSERT_TRUE(watch.next());
    watch.look(clock.now());
    watch.look(clock.now());
    EXPECT_THAT(worker.jobs, SizeIs(1));
    configure(RoundRobin);
    watch.want(clock.now());
    EXPECT_FALSE(watch.next());
}

TEST_F(LoadWatchTest, ASlotThatIsGoneMeanwhileIsNotFed) {
    knock(2);
    watch.look(clock.now());
    table.trim("web", 1);
    ASSERT_THAT(worker.jobs, SizeIs(1));
    worker.jobs[0].first();
    worker.jobs[0].second();
    EXPECT_THAT(table.to_measure()[0].rows, SizeIs(1));
}

}  // namespace
}  // namespace circus::supervise
