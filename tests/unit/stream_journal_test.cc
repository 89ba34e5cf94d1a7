#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "stream/file_sink.hpp"
#include "stream/journal.hpp"

namespace circus::stream {
namespace {

struct JournalTest : testing::Test {
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
        ASSERT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        auto made = Journal::make_parts();
        ASSERT_TRUE(made) << made.error().text;
        parts = std::move(*made);
        reopen();
    }
    // The process has ended, wherever it was; another one opens what was held.
    void reopen() {
        journal.reset();
        Journal::Parts again;
        again.memory.reset(fcntl(parts.memory.get(), F_DUPFD_CLOEXEC, 3));
        again.read_end.reset(fcntl(parts.read_end.get(), F_DUPFD_CLOEXEC, 3));
        again.write_end.reset(fcntl(parts.write_end.get(), F_DUPFD_CLOEXEC, 3));
        auto opened = Journal::open(std::move(again));
        ASSERT_TRUE(opened) << opened.error().text;
        journal = std::move(*opened);
    }
    void worker_writes(const std::string& text) {
        ASSERT_EQ(write(write_end.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    std::string take(PipeId pipe) {
        std::string_view bytes;
        EXPECT_EQ(journal->take(pipe, read_end.get(), bytes), Journal::Took::Some);
        return std::string(bytes);
    }

    UniqueFd read_end, write_end;
    Journal::Parts parts;
    std::unique_ptr<Journal> journal;
};

TEST_F(JournalTest, TakesWhatIsInThePipeAndSaysWhenThereIsNothing) {
    std::string_view bytes;
    EXPECT_EQ(journal->take(1, read_end.get(), bytes), Journal::Took::Nothing);
    worker_writes("one\ntwo\n");
    EXPECT_EQ(take(1), "one\ntwo\n");
    journal->done(1, "", 0);
    write_end.reset();
    EXPECT_EQ(journal->take(1, read_end.get(), bytes), Journal::Took::End);
}

TEST_F(JournalTest, WhatWasTakenAndNotWrittenIsLeft) {
    worker_writes("one\nha");
    take(7);
    reopen();
    const auto left = journal->left();
    ASSERT_TRUE(left);
    EXPECT_EQ(left->pipe, 7U);
    EXPECT_EQ(left->bytes, "one\nha");
    EXPECT_EQ(left->unfinished, "");
    EXPECT_FALSE(left->written);
}

TEST_F(JournalTest, WhereItWasBeingWrittenIsLeftWithIt) {
    worker_writes("one\n");
    take(7);
    journal->writing({1, 2, 3});
    reopen();
    const auto left = journal->left();
    ASSERT_TRUE(left);
    EXPECT_EQ(left->place.device, 1U);
    EXPECT_EQ(left->place.inode, 2U);
    EXPECT_EQ(left->place.size, 3U);
}

TEST_F(JournalTest, OfWhatIsDoneOnlyTheUnfinishedLineIsLeft) {
    worker_writes("one\nha");
    take(7);
    journal->writing({});
    journal->done(7, "ha", 2);
    worker_writes("lf");
    take(7);
    journal->writing({});
    journal->done(7, "half", 2);
    reopen();
    EXPECT_FALSE(journal->left());
    EXPECT_EQ(journal->unfinished_of(7), "half");
    EXPECT_EQ(journal->unfinished_of(8), "");
    journal->forget(7);
    reopen();
    EXPECT_EQ(journal->unfinished_of(7), "");
}

TEST_F(JournalTest, TheLineBeforeABatchIsLeftAsItWasBeforeIt) {
    worker_writes("ha");
    take(7);
    journal->done(7, "ha", 2);
    worker_writes("lf\n");
    take(7);
    reopen();
    const auto left = journal->left();
    ASSERT_TRUE(left);
    EXPECT_EQ(left->unfinished, "ha");
    EXPECT_EQ(left->bytes, "lf\n");
}

TEST_F(JournalTest, ManyUnfinishedLinesHaveTheirPlaces) {
    for (PipeId pipe = 1; pipe <= 600; ++pipe)
        journal->done(pipe, std::to_string(pipe), std::to_string(pipe).size());
    for (PipeId pipe = 1; pipe <= 600; pipe += 2) journal->forget(pipe);
    reopen();
    EXPECT_EQ(journal->unfinished_of(600), "600");
    EXPECT_EQ(journal->unfinished_of(599), "");
    journal->done(601, "new", 3);
    reopen();
    EXPECT_EQ(journal->unfinished_of(601), "new");
}

TEST_F(JournalTest, TheBacklogOfASinkIsLeft) {
    journal->backlog("stdout", "what nobody reads\n");
    reopen();
    EXPECT_EQ(journal->backlog_of("stdout"), "what nobody reads\n");
    EXPECT_EQ(journal->backlog_of("/other"), "");
    journal->backlog("stdout", "");
    reopen();
    EXPECT_EQ(journal->backlog_of("stdout"), "");
}

struct ResumedFile : testing::Test {
    void SetUp() override {
        char name[] = "/tmp/circus-journal-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        directory = name;
    }
    void TearDown() override {
        unlink(path().c_str());
        rmdir(directory.c_str());
    }
    std::string path() const { return directory + "/log"; }
    std::string text() const {
        std::ostringstream out;
        out << std::ifstream(path()).rdbuf();
        return out.str();
    }
    // A process wrote `so_far` behind what was in the file, and ended; the next one writes `all`.
    std::string resumed(const std::string& so_far, const std::string& all) {
        Journal::Place place;
        {
            FileSink sink(
                path(), [](const Trouble&) {}, compressor);
            sink.write(1, "before\n", {}, true);
            place = sink.place();
            if (!so_far.empty()) sink.write(1, so_far, {}, so_far.back() == '\n');
        }
        FileSink sink(
            path(), [](const Trouble&) {}, compressor);
        sink.resume_behind(place);
        sink.write(2, all, {}, true);
        sink.write(2, "after\n", {}, true);
        return text();
    }
    std::string directory;
    Compressor compressor{-1};
};

TEST_F(ResumedFile, WhatIsThereIsNotWrittenAgain) {
    EXPECT_EQ(resumed("one\ntw", "one\ntwo\n"), "before\none\ntwo\nafter\n");
}

TEST_F(ResumedFile, AllOfItMayBeThere) {
    EXPECT_EQ(resumed("one\ntwo\n", "one\ntwo\n"), "before\none\ntwo\nafter\n");
}

TEST_F(ResumedFile, NothingMayBeThere) {
    EXPECT_EQ(resumed("", "one\ntwo\n"), "before\none\ntwo\nafter\n");
}

TEST_F(ResumedFile, LinesWithAnotherTimeBeforeThemCount) {
    EXPECT_EQ(resumed("10:00 one\n10:00 tw", "10:01 one\n10:01 two\n"),
              "before\n10:00 one\n10:01 two\nafter\n");
}

}  // namespace
}  // namespace circus::stream
