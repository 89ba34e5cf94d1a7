#include "sys/procfs.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <functional>
#include <future>
#include <memory>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace circus::sys {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

// A forked child that runs `body` and then waits to be killed; ended and reaped with its owner.
class Child {
  public:
    explicit Child(const std::function<void()>& body = [] {}) : pid_(::fork()) {
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        body();
        for (;;) ::pause();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { end(); }
    void kill_only() const { ::kill(pid_, SIGKILL); }
    void end() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_;
};

bool wait_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::yield();
    }
    return true;
}

TEST(ReadFigures, SeesThisProcessAsItIs) {
    const auto figures = read_figures(::getpid());
    ASSERT_TRUE(figures);
    EXPECT_EQ(figures->pid, ::getpid());
    EXPECT_EQ(figures->ppid, ::getppid());
    EXPECT_EQ(figures->session, ::getsid(0));
    EXPECT_EQ(figures->state, 'R');
    EXPECT_EQ(figures->uid, ::getuid());
    EXPECT_EQ(figures->nice, ::getpriority(PRIO_PROCESS, 0));
    EXPECT_GT(figures->rss_bytes, 100'000U);
    EXPECT_GT(figures->vms_bytes, figures->rss_bytes);
    EXPECT_LT(figures->rss_bytes, total_memory_bytes());
    EXPECT_THAT(figures->argv0, ::testing::EndsWith("procfs_test"));
}

TEST(ReadFigures, CreateTimeIsWallClockAndStaysTheSame) {
    const auto before = static_cast<double>(::time(nullptr));
    const Child child;
    const auto first = read_figures(child.pid());
    const auto second = read_figures(child.pid());
    ASSERT_TRUE(first && second);
    EXPECT_NEAR(first->create_time, before + 0.5, 2);
    EXPECT_EQ(first->create_time, second->create_time);
    EXPECT_EQ(first->start_ticks, second->start_ticks);
}

TEST(ReadFigures, CpuGrowsWithWork) {
    const Child child([] {
        volatile bool for_ever = true;
        while (for_ever) {
        }
    });
    EXPECT_TRUE(wait_until([&] {
        const auto figures = read_figures(child.pid());
        return figures && figures->utime_us >= 20'000;
    }));
}

TEST(ReadFigures, ANameWithBracketsAndBlanksShiftsNoField) {
    const Child child([] { ::prctl(PR_SET_NAME, "a) R 1 (b"); });
    EXPECT_TRUE(wait_until([&] {
        const auto figures = read_figures(child.pid());
        return figures && figures->state == 'S' && figures->ppid == ::getpid();
    }));
}

TEST(ReadFigures, AZombieHasItsCommAndAReapedOneHasNothing) {
    Child child([] { ::prctl(PR_SET_NAME, "late one"); });
    ASSERT_TRUE(wait_until([&] { return read_figures(child.pid())->state == 'S'; }));
    child.kill_only();
    ASSERT_TRUE(wait_until([&] { return read_figures(child.pid())->state == 'Z'; }));
    EXPECT_EQ(read_figures(child.pid())->argv0, "late one");
    const pid_t pid = child.pid();
    child.end();
    EXPECT_FALSE(read_figures(pid));
}

TEST(ReadFigures, UidIsTheRealOneEvenWhereProcBelongsToRoot) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const Child child([] {
        if (::setresuid(4321, 4321, 4321) != 0) ::_exit(1);
        ::prctl(PR_SET_DUMPABLE, 0);
        ::prctl(PR_SET_NAME, "changed");
    });
    EXPECT_TRUE(wait_until([&] {
        const auto figures = read_figures(child.pid());
        return figures && figures->state == 'S' && figures->uid == 4321;
    }));
}

TEST(ReadFigures, RefusesNumbersThatAreNoPid) {
    EXPECT_FALSE(read_figures(0));
    EXPECT_FALSE(read_figures(-1));
}

TEST(Children, AreFoundWhicheverThreadForkedThem) {
    const Child here;
    std::promise<pid_t> forked;
    std::promise<void> checked;
    std::thread other([&] {
        const Child there;
        forked.set_value(there.pid());
        checked.get_future().wait();
    });
    const pid_t there = forked.get_future().get();
    EXPECT_THAT(children_of(::getpid()), UnorderedElementsAre(here.pid(), there));
    EXPECT_THAT(children_of(here.pid()), IsEmpty());
    checked.set_value();
    other.join();
    EXPECT_THAT(children_of(::getpid()), ElementsAre(here.pid()));
}

TEST(Children, ManyAreAllFoundAndTheWalkAgrees) {
    constexpr std::size_t kMany = 1200;  // more text than one read of the list takes
    std::vector<std::unique_ptr<Child>> children;
    std::vector<pid_t> pids;
    for (std::size_t i = 0; i < kMany; ++i) {
        children.push_back(std::make_unique<Child>());
        pids.push_back(children.back()->pid());
    }
    EXPECT_THAT(children_of(::getpid()), UnorderedElementsAreArray(pids));
    EXPECT_THAT(children_by_walk(::getpid()), UnorderedElementsAreArray(pids));
}

TEST(Descendants, ComeBreadthFirstWithoutTheRoot) {
    const Child child([] {
        if (::fork() == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::fork() == 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        }
    });
    ASSERT_TRUE(wait_until([&] { return descendants_of(child.pid()).size() == 2; }));
    const auto found = descendants_of(child.pid());
    EXPECT_THAT(children_of(child.pid()), ElementsAre(found[0]));
    EXPECT_THAT(children_of(found[0]), ElementsAre(found[1]));
    for (const pid_t pid : found) ::kill(pid, SIGKILL);
}

TEST(Descendants, OfAProcessThatIsGoneAreNone) {
    Child child;
    const pid_t pid = child.pid();
    child.end();
    EXPECT_THAT(descendants_of(pid), IsEmpty());
    EXPECT_THAT(children_by_walk(pid), IsEmpty());
}

}  // namespace
}  // namespace circus::sys
