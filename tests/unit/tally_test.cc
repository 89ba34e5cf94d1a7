// What a watcher counts of its processes' ends, and why they were replaced.
#include <map>
#include <utility>

#include <gmock/gmock.h>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

struct TallyTest : testing::Test, FakeStack {
    Tally tally() { return at("web").tally(); }
    std::map<Replaced, std::uint64_t> replaced() {
        std::map<Replaced, std::uint64_t> found;
        const auto counts = tally().replaced;
        for (std::size_t i = 0; i < counts.size(); ++i)
            if (counts[i] != 0) found[static_cast<Replaced>(i)] = counts[i];
        return found;
    }
    // Everything that was asked to stop does, and what is asked for starts.
    void follow() {
        arbiter->settle();
        spawn_all();
        obey();
        spawn_all();
    }
};

TEST_F(TallyTest, ADeathUnaskedIsCountedByItsCodeAndAsAReplacement) {
    watcher("web", 2);
    boot_running();
    clock.advance(2s);
    die(child("web", 1), 3 << 8);
    die(child("web", 2), SIGSEGV);
    spawn_all();
    EXPECT_EQ(tally().spawned, 4u);
    ASSERT_EQ(tally().ended.size(), 2u);
    EXPECT_EQ(tally().ended.at(3).unasked, 1u);
    EXPECT_EQ(tally().ended.at(-SIGSEGV).unasked, 1u);
    EXPECT_EQ(tally().ended.at(3).asked, 0u);
    EXPECT_THAT(replaced(), ElementsAre(Pair(Replaced::Died, 2u)));
}

TEST_F(TallyTest, WithoutRespawnNothingIsReplaced) {
    watcher("web", 1).respawn = false;
    boot_running();
    die(child("web", 1), 0);
    EXPECT_EQ(tally().ended.at(0).unasked, 1u);
    EXPECT_THAT(replaced(), IsEmpty());
}

TEST_F(TallyTest, EachOperationIsAReasonOfItsOwn) {
    watcher("web", 2);
    boot_running();
    arbiter->reload(at("web"), ReloadKind::Graceful, {});
    follow();
    arbiter->restart(at("web"), {});
    follow();
    arbiter->kill(at("web"), {}, {});
    follow();
    EXPECT_THAT(replaced(), ElementsAre(Pair(Replaced::Reload, 2u), Pair(Replaced::Restart, 2u),
                                        Pair(Replaced::Kill, 2u)));
}

TEST_F(TallyTest, WhatIsTooManyOrStoppedIsNotReplaced) {
    watcher("web", 3);
    boot_running();
    arbiter->set_numprocesses(at("web"), 2, {});
    follow();
    arbiter->stop(at("web"), {});
    follow();
    EXPECT_THAT(replaced(), IsEmpty());
    std::uint64_t asked = 0;
    const Tally counted = tally();
    for (const auto& [code, ends] : counted.ended) asked += ends.asked;
    EXPECT_EQ(asked, 3u);
}

TEST_F(TallyTest, OldAgeIsNoReload) {
    auto& old = watcher("web");
    old.max_age = 10;
    old.max_age_variance = 0;
    boot_running();
    pass(11s);
    follow();
    EXPECT_THAT(replaced(), ElementsAre(Pair(Replaced::MaxAge, 1u)));
}

TEST_F(TallyTest, ASpawnThatFailsIsCounted) {
    watcher("web").max_retry = 1;
    boot();
    fail_all(ENOENT);
    EXPECT_EQ(tally().spawns_failed, 1u);
    EXPECT_EQ(tally().spawned, 0u);
}

TEST_F(TallyTest, TheTimeOfThoseThatEndedIsSummedUp) {
    watcher("web", 2).respawn = false;
    boot_running();
    rusage usage{};
    usage.ru_utime = {1, 500'000};
    usage.ru_stime = {0, 250'000};
    for (const model::Wid wid : {1, 2}) arbiter->on_exited(child("web", wid), 0, usage);
    arbiter->settle();
    EXPECT_EQ(tally().cpu, 3500ms);
}

}  // namespace
}  // namespace circus::supervise
