// The thread for what may block, against a real loop.
#include "loop/worker.hpp"

#include <future>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "loop/timer.hpp"

namespace circus::loop {
namespace {

struct WorkerTest : testing::Test {
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

TEST_F(WorkerTest, JobsRunInOrderInAnotherThreadAndWhatFollowsRunsOnTheLoops) {
    Worker worker(loop);
    const auto here = std::this_thread::get_id();
    std::vector<int> jobs, followed;
    bool elsewhere = true, back = true;
    for (int i = 0; i < 3; ++i)
        worker.run(
            [&, i] {
                elsewhere = elsewhere && std::this_thread::get_id() != here;
                jobs.push_back(i);
            },
            [&, i] {
                back = back && std::this_thread::get_id() == here;
                followed.push_back(i);
            });
    EXPECT_TRUE(wait_until([&] { return followed.size() == 3; }));
    EXPECT_EQ(jobs, (std::vector{0, 1, 2}));
    EXPECT_EQ(followed, (std::vector{0, 1, 2}));
    EXPECT_TRUE(elsewhere && back);
}

TEST_F(WorkerTest, ALoopThatWaitsForNothingElseIsNotHeldUp) {
    Worker worker(loop);
    loop.run();
}

TEST_F(WorkerTest, AJobThatBlocksForEverDoesNotKeepItsOwnerFromGoing) {
    auto release = std::make_shared<std::promise<void>>();
    std::promise<void> began;
    auto ended = std::make_shared<std::promise<void>>();
    bool followed = false;
    std::optional<Worker> worker(std::in_place, loop);
    worker->run(
        [&began, release, ended] {
            began.set_value();
            release->get_future().wait();
            ended->set_value();
        },
        [&followed] { followed = true; });
    worker->run([] { ADD_FAILURE() << "a job that waited must be dropped"; }, {});
    began.get_future().wait();
    EXPECT_FALSE(worker->close(Milliseconds(1)));
    worker.reset();
    release->set_value();
    ended->get_future().wait();
    EXPECT_FALSE(followed);
}

TEST_F(WorkerTest, CloseWaitsForAJobThatEnds) {
    Worker worker(loop);
    bool ran = false;
    std::promise<void> began;
    worker.run(
        [&] {
            began.set_value();
            ran = true;
        },
        [] {});
    began.get_future().wait();
    EXPECT_TRUE(worker.close(std::chrono::seconds(5)));
    EXPECT_TRUE(ran);
    worker.run([] { ADD_FAILURE() << "it is closed"; }, {});
}

}  // namespace
}  // namespace circus::loop
