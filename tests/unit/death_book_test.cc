// The book of deaths: what it keeps, what it lets go, and that another process reads on in it.
#include "supervise/death_book.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace circus::supervise {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

struct DeathBookTest : testing::Test {
    DeathBookTest() {
        auto memory = DeathBook::make_memory();
        EXPECT_TRUE(memory);
        book = std::make_unique<DeathBook>(std::move(*memory));
    }
    // Another process takes the same memory.
    void take_over() {
        UniqueFd fd(::dup(book->fd()));
        book.reset();
        auto opened = DeathBook::open(std::move(fd));
        ASSERT_TRUE(opened);
        book = std::move(*opened);
    }
    static Death death(ChildId child, int code = 1) {
        Death one;
        one.child = child;
        one.pid = static_cast<std::int32_t>(1000 + child);
        one.code = code;
        return one;
    }
    void fill(std::uint64_t watcher, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) book->add(watcher, death(next++), {});
    }
    std::vector<ChildId> children(std::uint64_t watcher) const {
        std::vector<ChildId> out;
        for (const auto& record : book->last(watcher, DeathBook::kPerWatcher))
            out.push_back(record.death.child);
        return out;
    }

    std::unique_ptr<DeathBook> book;
    ChildId next = 1;
};

TEST_F(DeathBookTest, ARecordIsCompleteWhenWhatItWroteIsKnown) {
    book->add(1, death(7), "used too much");
    EXPECT_FALSE(book->last(1, 9).at(0).death.is_complete);
    book->complete(1, 7, true, "Traceback\nValueError: x");
    const auto record = book->last(1, 9).at(0);
    EXPECT_TRUE(record.death.is_complete && record.death.keeps_stderr);
    EXPECT_EQ(record.why, "used too much");
    EXPECT_EQ(record.written, "Traceback\nValueError: x");
}

TEST_F(DeathBookTest, WhatCannotBeStartedAgainAndAgainIsOneRecord) {
    fill(1, 2);
    Death failed;
    failed.code = ENOENT;
    for (int time = 1; time <= 150; ++time) {
        failed.time = time;
        book->add_failed_spawn(1, failed, "exec: No such file");
    }
    failed.code = EACCES;
    book->add_failed_spawn(1, failed, "exec: Permission denied");
    const auto records = book->last(1, DeathBook::kPerWatcher);
    ASSERT_THAT(records, SizeIs(4));
    EXPECT_EQ(records[2].death.times, 150U);
    EXPECT_EQ(records[2].death.time, 150);
    EXPECT_EQ(records[2].why, "exec: No such file");
    EXPECT_EQ(records[3].death.times, 1U);
    take_over();
    fill(1, 1);
    book->add_failed_spawn(1, failed, "exec: Permission denied");
    EXPECT_THAT(book->last(1, DeathBook::kPerWatcher), SizeIs(6)) << "a process has run in between";
}

TEST_F(DeathBookTest, TheSumsAreTheNextArbitersToo) {
    Death one = death(next++);
    one.asked = true;
    book->add(1, one, {});
    fill(1, 2);
    Tally tally;
    tally.spawned = 4;
    tally.spawns_failed = 1;
    tally.cpu = std::chrono::microseconds(2'500'000);
    tally.replaced[static_cast<std::size_t>(Replaced::Died)] = 2;
    book->keep(1, tally);
    book->keep(2, {});
    take_over();
    const Tally found = book->tally(1);
    EXPECT_EQ(found.spawned, 4U);
    EXPECT_EQ(found.spawns_failed, 1U);
    EXPECT_EQ(found.cpu, tally.cpu);
    EXPECT_EQ(found.replaced, tally.replaced);
    EXPECT_EQ(found.ended.at(1).asked, 1U);
    EXPECT_EQ(found.ended.at(1).unasked, 2U);
    book->forget(1);
    EXPECT_EQ(book->tally(1).spawned, 0U);
    EXPECT_THAT(book->tally(1).ended, IsEmpty());
}

TEST_F(DeathBookTest, TheLastHundredOfAWatcherStay) {
    fill(1, DeathBook::kPerWatcher + 20);
    EXPECT_THAT(children(1), SizeIs(DeathBook::kPerWatcher));
    EXPECT_EQ(children(1).front(), 21U);
    EXPECT_EQ(children(1).back(), 120U);
    EXPECT_EQ(book->last(1, 2).front().death.child, 119U);
}

TEST_F(DeathBookTest, TheWatcherThatHasMostGivesItsOldestWhenThereIsNoRoom) {
    std::size_t watchers = 0;
    for (std::size_t kept = 0; kept + DeathBook::kPerWatcher <= DeathBook::kRecords;
         kept += DeathBook::kPerWatcher)
        fill(++watchers, DeathBook::kPerWatcher);
    fill(1000, 60);
    EXPECT_THAT(children(1000), SizeIs(60));
    std::size_t all = 60;
    for (std::uint64_t watcher = 1; watcher <= watchers; ++watcher) {
        all += children(watcher).size();
        EXPECT_GE(children(watcher).size(), DeathBook::kPerWatcher - 20);
    }
    EXPECT_EQ(all, DeathBook::kRecords);
}

TEST_F(DeathBookTest, TextsAreBoundedAndBeginWithALine) {
    book->add(1, death(1), std::string(1000, 'w'));
    book->complete(1, 1, true, std::string(5000, 'a') + "\nlast line\n");
    EXPECT_THAT(book->last(1, 1).at(0).why, SizeIs(DeathBook::kMaxWhy));
    EXPECT_EQ(book->last(1, 1).at(0).written, "last line\n");
    book->add(1, death(2), {});
    book->complete(1, 2, true, std::string(5000, 'b'));
    EXPECT_EQ(book->last(1, 1).at(0).written, std::string(DeathBook::kMaxStderr, 'b'));
}

TEST_F(DeathBookTest, CountsGoOnWhereRecordsAreLetGo) {
    for (int i = 0; i < 250; ++i) {
        Death one = death(next++, i % 2 == 0 ? 1 : -SIGKILL);
        one.verdict.reason = i % 2 == 0 ? model::DeathReason::Exit : model::DeathReason::Killed;
        book->add(1, one, {});
    }
    const auto counts = book->counts(1);
    ASSERT_THAT(counts, SizeIs(2));
    EXPECT_EQ(counts[0].count, 125U);
    EXPECT_EQ(counts[0].code, 1);
    EXPECT_EQ(counts[1].count, 125U);
    EXPECT_EQ(counts[1].reason, model::DeathReason::Killed);
}

TEST_F(DeathBookTest, AForgottenWatcherLeavesNothing) {
    fill(1, 10);
    fill(2, 10);
    book->forget(1);
    EXPECT_THAT(children(1), IsEmpty());
    EXPECT_THAT(book->counts(1), IsEmpty());
    EXPECT_THAT(children(2), SizeIs(10));
    fill(3, 10);
    EXPECT_THAT(children(3), SizeIs(10));
    EXPECT_EQ(book->counts(3).at(0).count, 10U);
}

TEST_F(DeathBookTest, TheNextArbiterReadsOn) {
    fill(1, 130);
    fill(2, 5);
    book->add(3, death(next++), "why");
    book->complete(3, next - 1, true, "said");
    book->forget(2);
    const auto before = children(1);
    take_over();
    EXPECT_EQ(children(1), before);
    EXPECT_EQ(book->counts(1).at(0).count, 130U);
    EXPECT_EQ(book->last(3, 1).at(0).why, "why");
    EXPECT_EQ(book->last(3, 1).at(0).written, "said");
    EXPECT_THAT(children(2), IsEmpty());
    fill(1, 1);
    EXPECT_EQ(children(1).back(), next - 1);
    EXPECT_EQ(book->counts(1).at(0).count, 131U);
}

TEST_F(DeathBookTest, AnEndThatIsToldToTwoArbitersIsKeptAndCountedOnce) {
    book->add(1, death(7), {});
    take_over();
    EXPECT_EQ(book->add(1, death(7), {}), DeathBook::Added::Incomplete) << "what it wrote is still to come";
    book->complete(1, 7, true, "words");
    EXPECT_EQ(book->add(1, death(7), {}), DeathBook::Added::Known);
    EXPECT_THAT(children(1), SizeIs(1));
    EXPECT_EQ(book->counts(1).at(0).count, 1U);
}

TEST_F(DeathBookTest, MemoryOfAnotherKindIsRefused) {
    auto other = sys::SharedMemory::make("other", 100, 100);
    ASSERT_TRUE(other);
    EXPECT_FALSE(DeathBook::open(UniqueFd(::dup(other->fd()))));
}

}  // namespace
}  // namespace circus::supervise
