#include "stats/process_object.hpp"

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "stats/process_details.hpp"
#include "sys/identity.hpp"

namespace circus::stats {
namespace {

using ::testing::MatchesRegex;

const TimePoint kStart{std::chrono::hours(1)};

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

template <class Condition>
bool wait_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::yield();
    }
    return true;
}

std::uint64_t cpu_us_of(pid_t pid) {
    const auto figures = sys::read_figures(pid);
    return figures ? figures->utime_us + figures->stime_us : 0;
}

void burn() {
    volatile bool for_ever = true;
    while (for_ever) {
    }
}

TEST(CtimeText, IsSpelledAsCircusSpellsIt) {
    EXPECT_EQ(ctime_text(0), "0:00.0");
    EXPECT_EQ(ctime_text(10'000), "0:00.10");
    EXPECT_EQ(ctime_text(50'000), "0:00.50");
    EXPECT_EQ(ctime_text(9'120'000), "0:09.12");
    EXPECT_EQ(ctime_text(61'500'000), "1:01.50");
    EXPECT_EQ(ctime_text(3'600'000'000 + 59'990'000), "0:59.99");
}

TEST(ProcessLooks, ObjectHasExactlyTheKeysAndTypesOfTheProtocol) {
    ProcessLooks looks;
    const double wall = SystemClock().wall();
    const auto object = looks.look(::getpid(), kStart, wall, false);
    ASSERT_TRUE(object);
    const Json& o = *object;
    EXPECT_EQ(o.size(), 12U);
    EXPECT_EQ(o.at("pid"), ::getpid());
    EXPECT_TRUE(o.at("pid").is_number_integer());
    EXPECT_EQ(o.at("cmdline"), "process_object_test");
    EXPECT_EQ(o.at("username"), sys::user_name(::getuid()));
    EXPECT_EQ(o.at("nice"), ::getpriority(PRIO_PROCESS, 0));
    EXPECT_TRUE(o.at("cpu").is_number_float());
    EXPECT_TRUE(o.at("mem").is_number_float());
    EXPECT_THAT(o.at("mem_info1").get<std::string>(), MatchesRegex("[0-9]+\\.[0-9][0-9][KMG]"));
    EXPECT_THAT(o.at("mem_info2").get<std::string>(), MatchesRegex("[0-9]+\\.[0-9][0-9][KMGTP]"));
    EXPECT_THAT(o.at("ctime").get<std::string>(), MatchesRegex("0:[0-9][0-9]\\.[0-9]+"));
    EXPECT_TRUE(o.at("create_time").is_number_float());
    EXPECT_DOUBLE_EQ(o.at("age").get<double>(), wall - o.at("create_time").get<double>());
    EXPECT_EQ(o.at("children"), Json::array());
}

TEST(ProcessLooks, CpuIsTheShareSinceTheLastLook) {
    ProcessLooks looks;
    const Child child(burn);
    EXPECT_EQ(looks.look(child.pid(), kStart, 0, false)->at("cpu"), 0.0);
    const std::uint64_t before = cpu_us_of(child.pid());
    ASSERT_TRUE(wait_until([&] { return cpu_us_of(child.pid()) >= before + 50'000; }));
    const auto after = looks.look(child.pid(), kStart + std::chrono::seconds(1), 0, false);
    // By the clock that the test turns a second has passed, in which the child used 50 ms or a little more.
    EXPECT_GE(after->at("cpu").get<double>(), 5.0);
    EXPECT_LE(after->at("cpu").get<double>(), static_cast<double>(cpu_us_of(child.pid())) / 1e4);
}

TEST(ProcessLooks, ALookRightAfterAnotherRepeatsItsCpu) {
    ProcessLooks looks;
    const Child child(burn);
    looks.look(child.pid(), kStart, 0, false);
    ASSERT_TRUE(wait_until([&] { return cpu_us_of(child.pid()) >= 30'000; }));
    const auto at_1s = looks.look(child.pid(), kStart + std::chrono::seconds(1), 0, false);
    ASSERT_TRUE(wait_until([&] { return cpu_us_of(child.pid()) >= 100'000; }));
    const auto right_after = looks.look(child.pid(), kStart + std::chrono::milliseconds(1001), 0, false);
    EXPECT_GT(at_1s->at("cpu").get<double>(), 0.0);
    EXPECT_EQ(right_after->at("cpu"), at_1s->at("cpu"));
}

TEST(ProcessLooks, ChildrenAreObjectsWithoutChildrenOfTheirOwn) {
    ProcessLooks looks;
    const Child child([] {
        const pid_t parent = ::getpid();
        if (::fork() == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(0);  // it died before it could be watched
            for (;;) ::pause();
        }
    });
    ASSERT_TRUE(wait_until([&] { return sys::children_of(child.pid()).size() == 1; }));
    const auto object = looks.look(::getpid(), kStart, 0, true);
    ASSERT_EQ(object->at("children").size(), 1U);
    EXPECT_EQ(object->at("children")[0].at("pid"), child.pid());
    EXPECT_EQ(object->at("children")[0].at("children"), Json::array());
    EXPECT_EQ(looks.look(::getpid(), kStart, 0, false)->at("children"), Json::array());
}

TEST(ProcessLooks, AProcessThatIsGoneHasNoObject) {
    ProcessLooks looks;
    Child child;
    const pid_t pid = child.pid();
    EXPECT_TRUE(looks.look(pid, kStart, 0, false));
    EXPECT_EQ(looks.remembered(), 1U);
    child.end();
    EXPECT_FALSE(looks.look(pid, kStart, 0, false));
    EXPECT_EQ(looks.remembered(), 0U);
}

TEST(ProcessLooks, WhatNobodyLooksAtIsForgottenAfterTenMinutes) {
    ProcessLooks looks;
    const Child child;
    looks.look(child.pid(), kStart, 0, false);
    looks.look(::getpid(), kStart + std::chrono::minutes(9), 0, false);
    EXPECT_EQ(looks.remembered(), 2U);
    looks.look(::getpid(), kStart + std::chrono::minutes(11), 0, false);
    EXPECT_EQ(looks.remembered(), 1U);
}

TEST(ProcessLooks, WhatIsLookedAtAgainAtOnceIsKeptOpenUntilNobodyDoes) {
    ProcessLooks looks;
    const Child child;
    const auto at = [](int seconds) { return kStart + std::chrono::seconds(seconds); };
    looks.look(child.pid(), at(0), 0, false);
    EXPECT_EQ(looks.kept_open(), 0U) << "a look is no reason to expect another";
    looks.look(child.pid(), at(1), 0, false);
    looks.look(child.pid(), at(2), 0, false);
    EXPECT_EQ(looks.kept_open(), 1U);
    looks.rest(at(3));
    EXPECT_EQ(looks.kept_open(), 1U);
    looks.rest(at(60));
    EXPECT_EQ(looks.kept_open(), 0U);
    looks.look(child.pid(), at(61), 0, false);
    EXPECT_EQ(looks.kept_open(), 0U);
}

TEST(ProcessLooks, NoMoreAreKeptOpenThanTheLimitLeavesRoomFor) {
    ProcessLooks looks(1);
    const Child one, two;
    for (const int seconds : {0, 1, 2}) {
        const auto at = kStart + std::chrono::seconds(seconds);
        EXPECT_TRUE(looks.look(one.pid(), at, 0, false));
        EXPECT_TRUE(looks.look(two.pid(), at, 0, false));
    }
    EXPECT_EQ(looks.kept_open(), 1U);
}

TEST(ProcessLooks, AFileOfAProcessThatWasReapedIsClosed) {
    ProcessLooks looks;
    Child child;
    looks.look(child.pid(), kStart, 0, false);
    looks.look(child.pid(), kStart + std::chrono::seconds(1), 0, false);
    ASSERT_EQ(looks.kept_open(), 1U);
    const pid_t pid = child.pid();
    child.end();
    EXPECT_FALSE(looks.look(pid, kStart + std::chrono::seconds(2), 0, false));
    EXPECT_EQ(looks.kept_open(), 0U);
}

TEST(ProcessLooks, AnotherProgramInTheSameProcessIsSeenAtOnce) {
    ProcessLooks looks;
    int gate[2];
    ASSERT_EQ(::pipe2(gate, O_CLOEXEC), 0);
    const Child child([&gate] {
        char word = 0;
        if (::read(gate[0], &word, 1) == 1) ::execl("/bin/sleep", "sleeps", "1000", nullptr);
    });
    // By this wall clock it is old, so that what it is called is not looked up each time.
    const double wall = SystemClock().wall() + 1000;
    for (int look = 0; look < 3; ++look) {
        const auto object = looks.look(child.pid(), kStart + std::chrono::seconds(look), wall, false);
        EXPECT_EQ(object->at("cmdline"), "process_object_test");
    }
    ASSERT_EQ(::write(gate[1], "x", 1), 1);
    ASSERT_TRUE(wait_until([&] { return sys::read_figures(child.pid())->argv0 == "sleeps"; }));
    EXPECT_EQ(looks.look(child.pid(), kStart + std::chrono::seconds(3), wall, false)->at("cmdline"),
              "sleeps");
    ::close(gate[0]);
    ::close(gate[1]);
}

TEST(ProcessLooks, WhatTheCallerKnowsStandsInTheObject) {
    ProcessLooks looks;
    std::string text;
    ASSERT_TRUE(looks.append(text, ::getpid(), kStart, SystemClock().wall(), false, {R"("wid":3)", 2.5}));
    const Json object = Json::parse(text);
    EXPECT_EQ(object.at("wid"), 3);
    EXPECT_EQ(object.at("age"), 2.5);
    EXPECT_EQ(object.size(), 13U);
}

TEST(ProcessDetails, ThreadsDescriptorsAndTheShareOfMemory) {
    const Json details = Json::parse(cat("{", details_of(::getpid()), "}"));
    EXPECT_GE(details.at("threads"), 1);
    EXPECT_GE(details.at("fds"), 3);
    EXPECT_GT(details.at("pss"), 100'000);
    EXPECT_LE(details.at("pss"), sys::read_figures(::getpid())->rss_bytes + (16U << 20));
    EXPECT_FALSE(details.contains("absent"));
    EXPECT_EQ(details_of(0), "");
}

TEST(ProcessLooks, ANameThatIsNoUtf8DoesNotBreakTheAnswer) {
    ProcessLooks looks;
    const Child child([] { ::execl("/bin/sleep", "/x/caf\xe9 y", "1000", nullptr); });
    ASSERT_TRUE(wait_until([&] { return sys::read_figures(child.pid())->argv0.starts_with("/x/"); }));
    const auto object = looks.look(child.pid(), kStart, 0, false);
    EXPECT_EQ(object->at("cmdline"), "caf\xef\xbf\xbd");
    EXPECT_NO_THROW((void)object->dump());
}

}  // namespace
}  // namespace circus::stats
