#include "loop/loop.hpp"

#include <array>
#include <cstdint>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "loop/async.hpp"
#include "loop/inbox.hpp"
#include "loop/poll.hpp"
#include "loop/readiness.hpp"
#include "loop/timer.hpp"
#include "loop/turn_clock.hpp"
#include "loop/turn_hooks.hpp"

namespace circus::loop {
namespace {

struct LoopTest : testing::Test {
    // Turns the loop until the condition holds; false after five seconds.
    bool wait_until(const std::function<bool()>& condition) {
        bool late = false;
        Timer deadline(loop, [&] { late = true; });
        deadline.start(std::chrono::seconds(5));
        while (!condition() && !late) loop.run_once();
        return condition();
    }
    void TearDown() override { EXPECT_TRUE(loop.close()) << "a handle is still alive"; }

    Loop loop;
};

struct SocketPair {
    SocketPair() {
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        a.reset(fds[0]);
        b.reset(fds[1]);
    }
    UniqueFd a, b;
};

TEST_F(LoopTest, RunReturnsWhenNothingCanHappen) {
    loop.run();
}

TEST_F(LoopTest, TimerIsNeverEarly) {
    const TimePoint begin = loop.now();
    bool fired = false;
    Timer timer(loop, [&] { fired = true; });
    timer.start(std::chrono::microseconds(10'500));
    EXPECT_TRUE(wait_until([&] { return fired; }));
    EXPECT_GE(loop.now() - begin, std::chrono::microseconds(10'500));
    EXPECT_FALSE(timer.is_active());
}

TEST_F(LoopTest, TimerInThePastFiresInTheNextTurnNotInTheCall) {
    bool fired = false;
    Timer timer(loop, [&] { fired = true; });
    timer.start_at(loop.now() - std::chrono::hours(1));
    EXPECT_FALSE(fired);
    loop.run_once(false);
    EXPECT_TRUE(fired);
}

TEST_F(LoopTest, TimerMayBeDestroyedInItsOwnCallback) {
    int calls = 0;
    std::string captured(100, 'x');
    std::unique_ptr<Timer> timer;
    timer = std::make_unique<Timer>(loop, [&, captured] {
        timer.reset();
        calls += captured.size() == 100 ? 1 : 100;
    });
    timer->start(Duration::zero(), std::chrono::milliseconds(1));
    EXPECT_TRUE(wait_until([&] { return calls > 0; }));
    EXPECT_EQ(calls, 1);
}

TEST_F(LoopTest, RepeatingTimerStopsWhenToldInItsCallback) {
    int calls = 0;
    std::optional<Timer> timer;
    timer.emplace(loop, [&] {
        if (++calls == 3) timer->stop();
    });
    timer->start(Duration::zero(), std::chrono::milliseconds(1));
    loop.run();
    EXPECT_EQ(calls, 3);
}

TEST_F(LoopTest, PollSaysReadableThenWritable) {
    SocketPair pair;
    unsigned seen = 0;
    auto poll = Poll::make(loop, pair.a.get(), [&](unsigned ready) { seen |= ready; });
    ASSERT_TRUE(poll);
    poll->watch(Poll::kReadable);
    ASSERT_EQ(write(pair.b.get(), "x", 1), 1);
    EXPECT_TRUE(wait_until([&] { return seen == Poll::kReadable; }));
    poll->watch(Poll::kWritable);
    EXPECT_TRUE(wait_until([&] { return (seen & Poll::kWritable) != 0; }));
}

TEST_F(LoopTest, PollWatchingNothingIsSilent) {
    SocketPair pair;
    int calls = 0;
    auto poll = Poll::make(loop, pair.a.get(), [&](unsigned) { ++calls; });
    ASSERT_TRUE(poll);
    poll->watch(Poll::kWritable);
    poll->watch(0);
    loop.run_once(false);
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(poll->watched(), 0u);
}

TEST_F(LoopTest, PollMayBeDestroyedInItsOwnCallbackAndTheDescriptorClosed) {
    SocketPair pair;
    std::optional<Poll> poll;
    bool called = false;
    auto made = Poll::make(loop, pair.a.get(), [&](unsigned) {
        poll.reset();
        pair.a.reset();
        called = true;
    });
    ASSERT_TRUE(made);
    poll.emplace(std::move(*made));
    poll->watch(Poll::kWritable);
    EXPECT_TRUE(wait_until([&] { return called; }));
}

TEST_F(LoopTest, PollOfARegularFileIsAnError) {
    const UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    EXPECT_FALSE(Poll::make(loop, file.get(), [](unsigned) {}));
}

struct ReadinessTest : LoopTest {
    Readiness make() {
        auto made = Readiness::make(loop, [this](int fd) { told.push_back(fd); });
        EXPECT_TRUE(made);
        return std::move(*made);
    }
    void turn_twice() {
        for (int i = 0; i < 2; ++i) {
            Timer soon(loop, [] {});
            soon.start(std::chrono::milliseconds(1));
            loop.run_once();
        }
    }

    SocketPair first, second;
    std::vector<int> told;
};

TEST_F(ReadinessTest, TellsOnceOfEachAndReadsNothing) {
    Readiness readiness = make();
    ASSERT_TRUE(readiness.watch(first.a.get()) && readiness.watch(second.a.get()));
    ASSERT_EQ(write(first.b.get(), "x", 1), 1);
    EXPECT_TRUE(wait_until([&] { return !told.empty(); }));
    turn_twice();
    EXPECT_EQ(told, std::vector<int>{first.a.get()});
    ASSERT_TRUE(readiness.watch(first.a.get()));
    EXPECT_TRUE(wait_until([&] { return told.size() == 2; })) << "what was there is still there";
    turn_twice();
    EXPECT_EQ(told.size(), 2U);
}

TEST_F(ReadinessTest, WhatIsForgottenIsNotTold) {
    Readiness readiness = make();
    ASSERT_TRUE(readiness.watch(first.a.get()));
    readiness.forget(first.a.get());
    readiness.forget(second.a.get());
    ASSERT_EQ(write(first.b.get(), "x", 1), 1);
    turn_twice();
    EXPECT_TRUE(told.empty());
}

TEST_F(ReadinessTest, ABlockingDescriptorStaysBlocking) {
    Readiness readiness = make();
    ASSERT_TRUE(readiness.watch(first.a.get()));
    EXPECT_EQ(fcntl(first.a.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(ReadinessTest, OneOfARegularFileIsAnError) {
    Readiness readiness = make();
    const UniqueFd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    EXPECT_FALSE(readiness.watch(file.get()));
}

TEST_F(LoopTest, PrepareRunsAfterTheEventsOfTheTurn) {
    std::vector<std::string> order;
    Prepare prepare(loop, [&] { order.emplace_back("end of turn"); });
    Timer first(loop, [&] { order.emplace_back("first"); });
    Timer second(loop, [&] {
        order.emplace_back("second");
        loop.stop();
    });
    first.start(Duration::zero());
    second.start(Duration::zero());
    loop.run();
    EXPECT_EQ(order, (std::vector<std::string>{"first", "second", "end of turn"}));
}

TEST_F(LoopTest, WhatPrepareStartsKeepsTheLoopFromSleeping) {
    bool fired = false;
    Timer due(loop, [&] { fired = true; });
    Timer far(loop, [] {});
    far.start(std::chrono::minutes(1));
    Prepare prepare(loop, [&] {
        if (!fired && !due.is_active()) due.start(Duration::zero());
    });
    const TimePoint begin = loop.now();
    loop.run_once();
    EXPECT_TRUE(fired);
    EXPECT_LT(loop.now() - begin, std::chrono::seconds(30));
}

TEST_F(LoopTest, IdleGoesOnUntilStopped) {
    int turns = 0;
    std::optional<Idle> idle;
    idle.emplace(loop, [&] {
        if (++turns == 5) idle.reset();
    });
    idle->start();
    loop.run();
    EXPECT_EQ(turns, 5);
}

TEST_F(LoopTest, AsyncFromAnotherThreadWakesTheLoop) {
    int calls = 0;
    Async async(loop, [&] { ++calls; });
    std::thread thread([&] {
        for (int i = 0; i < 100; ++i) async.send();
    });
    EXPECT_TRUE(wait_until([&] { return calls > 0; }));
    thread.join();
    EXPECT_LE(calls, 100);
}

TEST_F(LoopTest, InboxRunsEachTaskOnceInOrder) {
    std::vector<int> got;
    Inbox inbox(loop);
    std::thread thread([&, sender = inbox.sender()] {
        for (int i = 0; i < 1000; ++i) EXPECT_TRUE(sender.post([&got, i] { got.push_back(i); }));
    });
    EXPECT_TRUE(wait_until([&] { return got.size() == 1000; }));
    thread.join();
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(got[static_cast<size_t>(i)], i);
}

TEST_F(LoopTest, InboxThatIsGoneTakesNothing) {
    std::optional<Inbox> inbox(std::in_place, loop);
    const auto sender = inbox->sender();
    bool ran = false;
    EXPECT_TRUE(sender.post([&] { ran = true; }));
    inbox.reset();
    EXPECT_FALSE(sender.post([&] { ran = true; }));
    loop.run_once(false);
    EXPECT_FALSE(ran);
}

TEST_F(LoopTest, InboxMayBeDestroyedByOneOfItsTasks) {
    std::optional<Inbox> inbox(std::in_place, loop);
    const auto sender = inbox->sender();
    int ran = 0;
    sender.post([&] {
        ++ran;
        inbox.reset();
    });
    sender.post([&] { ++ran; });
    EXPECT_TRUE(wait_until([&] { return ran > 0; }));
    EXPECT_EQ(ran, 1);
}

TEST(LoopClose, NoticesALivingHandle) {
    auto loop = std::make_unique<Loop>();
    std::optional<Timer> timer(std::in_place, *loop, [] {});
    EXPECT_FALSE(loop->close());
    timer.reset();
    EXPECT_TRUE(loop->close());
}

TEST(TurnClockTest, ATurnIsCountedInItsClass) {
    Loop loop;
    TurnClock clock(loop);
    clock.count(std::chrono::microseconds(100));
    clock.count(std::chrono::milliseconds(3));
    clock.count(std::chrono::minutes(1));
    EXPECT_EQ(clock.figures().turns, (std::array<std::uint64_t, 10>{1, 0, 0, 1, 0, 0, 0, 0, 0, 1}));
    EXPECT_EQ(clock.figures().busy, std::chrono::microseconds(60'003'100));
}

// It sleeps for 60 ms and works for 20: what is counted has the work in it, and not the sleep.
TEST_F(LoopTest, ATurnIsCountedWithoutTheTimeInWhichTheLoopSlept) {
    TurnClock clock(loop);
    Prepare end(loop, [&] { clock.end_turn(); });
    const TimePoint begun = Monotonic::now();
    Duration worked{};
    Timer work(loop, [&] {
        const TimePoint start = Monotonic::now();
        while (Monotonic::now() - start < std::chrono::milliseconds(20)) continue;
        worked = Monotonic::now() - start;
    });
    work.start(std::chrono::milliseconds(60));
    ASSERT_TRUE(wait_until([&] { return worked > Duration::zero(); }));
    loop.run_once(false);
    EXPECT_GE(clock.figures().busy, worked);
    EXPECT_LE(clock.figures().busy, Monotonic::now() - begun - std::chrono::milliseconds(50));
}

}  // namespace
}  // namespace circus::loop
