#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "stream/file_sink.hpp"
#include "stream/journal.hpp"
#include "stream/pump.hpp"

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

TEST_F(JournalTest, SoIsWhereItWentOn) {
    worker_writes("one\ntwo\n");
    take(7);
    journal->writing({1, 2, 3});
    for (std::uint64_t inode = 10; inode < 13; ++inode) {
        journal->moved({1, inode, 0, 1, 2, 0});
        reopen();
        const auto left = journal->left();
        ASSERT_TRUE(left);
        EXPECT_TRUE(left->writing);
        EXPECT_EQ(left->place.inode, inode);
        EXPECT_EQ(left->place.pieces, 1U);
        EXPECT_EQ(left->place.lines, 2U);
    }
    journal->done(7, "", 0);
    worker_writes("three\n");
    take(7);
    reopen();
    const auto left = journal->left();
    ASSERT_TRUE(left);
    EXPECT_FALSE(left->writing);
    EXPECT_EQ(left->place.lines, 0U);
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

TEST_F(JournalTest, WhereABacklogIsBeingWrittenIsLeftUntilItIsAnother) {
    journal->backlog("/log", "one\ntwo\n");
    EXPECT_EQ(journal->place_of_backlog("/log").inode, 0U);
    for (std::uint64_t inode = 10; inode < 13; ++inode) {
        journal->writing_backlog("/log", {1, inode, 5, 0, 0, 4});
        reopen();
        EXPECT_EQ(journal->backlog_of("/log"), "one\ntwo\n");
        EXPECT_EQ(journal->place_of_backlog("/log").inode, inode);
        EXPECT_EQ(journal->place_of_backlog("/log").bytes, 4U);
    }
    journal->backlog("/log", "two\n");
    reopen();
    EXPECT_EQ(journal->backlog_of("/log"), "two\n");
    EXPECT_EQ(journal->place_of_backlog("/log").inode, 0U);
}

// A process that changes the backlog all the time, and is killed at any of its instants.
TEST_F(JournalTest, ABacklogIsTheOneBeforeOrTheNextAndNeverHalfOfEach) {
    const std::string one(kMaxBacklog, 'a'), other(kMaxBacklog - 1, 'b');
    journal->backlog("stdout", one);
    for (int round = 0; round < 60; ++round) {
        const pid_t child = fork();
        if (child == 0) {
            for (;;) {
                journal->backlog("stdout", other);
                journal->backlog("stdout", one);
            }
        }
        ASSERT_GT(child, 0);
        usleep(static_cast<useconds_t>(1000 + round * 37));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        reopen();
        const std::string left = journal->backlog_of("stdout");
        ASSERT_TRUE(left == one || left == other) << "of both, after round " << round;
    }
}

// One that a version before made had one text for each backlog, and nothing behind them.
TEST_F(JournalTest, AShorterOneIsMadeLonger) {
    struct stat made {};
    ASSERT_EQ(fstat(parts.memory.get(), &made), 0);
    journal->backlog("stdout", "kept\n");
    journal.reset();
    ASSERT_EQ(ftruncate(parts.memory.get(), made.st_size / 8 * 7), 0);
    reopen();
    struct stat now {};
    ASSERT_EQ(fstat(parts.memory.get(), &now), 0);
    EXPECT_EQ(now.st_size, made.st_size);
    journal->backlog("stdout", "and more\n");
    journal->writing_backlog("stdout", {1, 2, 3});
    reopen();
    EXPECT_EQ(journal->backlog_of("stdout"), "and more\n");
    EXPECT_EQ(journal->place_of_backlog("stdout").inode, 2U);
}

// What a pump does with what the one before has left in the journal.
struct ResumedPump : JournalTest {
    void SetUp() override {
        JournalTest::SetUp();
        char name[] = "/tmp/circus-journal-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        directory = name;
        path = directory + "/log";
    }
    void TearDown() override { std::filesystem::remove_all(directory); }
    // Of the file, which `text` is in by now, behind its first `size` bytes.
    Journal::Place place_in(const std::string& text, std::uint64_t size) const {
        std::ofstream(path) << text;
        struct stat about {};
        EXPECT_EQ(stat(path.c_str(), &about), 0);
        return {about.st_dev, about.st_ino, size};
    }
    // What is in the file when pipe 7 was taken over and everything is written.
    std::string resumed() {
        reopen();
        auto pump = Pump::run(
            {[](PipeId, const std::optional<std::string>&) {}, [](const Trouble&) {}, [](PipeId) {}}, 1,
            std::move(journal));
        EXPECT_TRUE(pump);
        SinkRequest request;
        request.spec.filename = request.key = path;
        (*pump)->add(7, std::move(read_end), request);
        (*pump)->start(7, getpid());
        EXPECT_TRUE((*pump)->stop(std::chrono::seconds(5)));
        std::ostringstream out;
        out << std::ifstream(path).rdbuf();
        return out.str();
    }
    std::string directory, path;
};

TEST_F(ResumedPump, ABacklogThatIsInTheFileInPartIsWrittenOnce) {
    journal->backlog(path, "one\ntwo\nthree\n");
    journal->writing_backlog(path, place_in("before\none\ntw", 7));
    EXPECT_EQ(resumed(), "before\none\ntwo\nthree\n");
}

TEST_F(ResumedPump, SoIsOneOfWhichThereIsMoreInTheFileBefore) {
    journal->backlog(path, "one\ntwo\nthree\n");
    Journal::Place place = place_in("two\nth", 0);
    place.bytes = 4;
    journal->writing_backlog(path, place);
    EXPECT_EQ(resumed(), "two\nthree\n");
}

TEST_F(ResumedPump, ABatchGoesOnInAnotherFileWhereItWasCut) {
    worker_writes("one\ntwo\nthree\nfo");
    take(7);
    journal->writing({1, 2, 3});
    Journal::Place place = place_in("two\n", 0);
    place.lines = 1;
    place.bytes = 1000;  // of another time before each line
    journal->moved(place);
    worker_writes("ur\n");
    EXPECT_EQ(resumed(), "two\nthree\nfour\n");
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

TEST_F(ResumedFile, ItMayBeTwoPiecesOfOneBatch) {
    Journal::Place place;
    {
        FileSink sink(
            path(), [](const Trouble&) {}, compressor);
        place = sink.place();
        sink.write(1, "one\n", {}, true);
        sink.write(1, "the beginning of", {}, false);
    }
    FileSink sink(
        path(), [](const Trouble&) {}, compressor);
    sink.resume_behind(place);
    sink.write(2, "one\n", {}, true);
    sink.write(2, "the beginning of a long line", {}, false);
    sink.resume_behind({});
    sink.write(2, ", and its end\n", {}, true);
    EXPECT_EQ(text(), "one\nthe beginning of a long line, and its end\n");
}

TEST_F(ResumedFile, ALineOfAnothersThatWasEndedFirstIsNoLineOfTheBatch) {
    Journal::Place place;
    {
        FileSink sink(
            path(), [](const Trouble&) {}, compressor);
        sink.write(1, "cut sh", {}, false);
        place = sink.place();
        sink.write(2, "one\ntwo\n", {}, true);
    }
    FileSink sink(
        path(), [](const Trouble&) {}, compressor);
    sink.resume_behind(place);
    sink.write(2, "one\ntwo\n", {}, true);
    EXPECT_EQ(text(), "cut sh\none\ntwo\n");
}

TEST_F(ResumedFile, LinesWithAnotherTimeBeforeThemCount) {
    EXPECT_EQ(resumed("10:00 one\n10:00 tw", "10:01 one\n10:01 two\n"),
              "before\n10:00 one\n10:01 two\nafter\n");
}

// A file that is rotated while a batch is written. The process is killed at one note of where it is: just
// before that note stands, or just after; or at none, but before it says that it is done.
struct RotatedFile : testing::Test {
    struct Killed {};
    static constexpr int kFiles = 20;

    void SetUp() override {
        char name[] = "/tmp/circus-journal-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        directory = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory); }
    std::string path() const { return directory + "/log"; }
    std::string all() const {
        std::ostringstream out;
        for (int i = kFiles; i >= 0; --i)
            if (std::ifstream in(i == 0 ? path() : path() + "." + std::to_string(i)); in && in.peek() != EOF)
                out << in.rdbuf();
        return out.str();
    }
    void start_over() const {
        std::filesystem::remove_all(directory);
        std::filesystem::create_directory(directory);
    }
    std::unique_ptr<FileSink> sink(std::uint64_t max_bytes = 40) {
        auto made = std::make_unique<FileSink>(
            path(), [](const Trouble&) {}, compressor);
        made->set_rules({max_bytes, {kFiles, std::nullopt, false}, false});
        return made;
    }
    // What stands in the journal when the process has gone; `notes`: at which it goes, and whether it has
    // stood already. False: it wrote everything and went then.
    static bool killed_while(FileSink& sink, int note, bool stands, Journal::Place& place,
                             const std::function<void()>& writes) {
        int notes = 0;
        sink.moved = [&](const Journal::Place& at) {
            const bool is_last = ++notes == note;
            if (!is_last || stands) place = at;
            if (is_last) throw Killed();
        };
        bool killed = false;
        try {
            writes();
        } catch (const Killed&) {
            killed = true;
        }
        sink.moved = {};
        return killed;
    }
    static std::string lines(int from, int to, const std::string& before = {}) {
        std::string text;
        for (int i = from; i < to; ++i) text += before + "line " + std::to_string(i) + "\n";
        return text;
    }

    std::string directory;
    Compressor compressor{-1};
};

TEST_F(RotatedFile, ABatchThatCrossesRotationsIsWrittenOnceWheneverItsProcessIsKilled) {
    const std::string before = lines(0, 3), first = lines(3, 20), second(100, 'x');
    for (const bool stands : {false, true}) {
        bool killed = true;
        for (int note = 1; killed; ++note) {
            start_over();
            Journal::Place place;
            {
                const auto old = sink();
                old->write(1, before, {}, true);
                place = old->place();
                killed = killed_while(*old, note, stands, place, [&] {
                    old->write(1, first, {}, true);
                    old->write(1, second, {}, false);
                });
            }
            const auto next = sink();
            place.bytes = 0;
            next->resume_behind(place);
            next->write(1, first, {}, true);
            next->write(1, second, {}, false);
            next->resume_behind({});
            next->write(1, "\n", {}, true);
            EXPECT_EQ(all(), before + first + second + "\n") << "killed at note " << note << ", " << stands;
            ASSERT_LT(note, 100);
        }
    }
}

TEST_F(RotatedFile, SoItIsWithAnotherTimeBeforeEachLine) {
    for (int note = 1; note < 7; ++note) {
        start_over();
        Journal::Place place;
        {
            const auto old = sink();
            place = old->place();
            EXPECT_TRUE(killed_while(*old, note, true, place,
                                     [&] { old->write(1, lines(0, 20, "9:59 "), {}, true); }));
        }
        const auto next = sink();
        place.bytes = 0;
        next->resume_behind(place);
        next->write(1, lines(0, 20, "10:00 "), {}, true);
        std::string text = all();
        for (const char* time : {"9:59 ", "10:00 "})
            for (std::size_t at = 0; (at = text.find(time)) != std::string::npos;)
                text.erase(at, std::string_view(time).size());
        EXPECT_EQ(text, lines(0, 20)) << note;
    }
}

TEST_F(RotatedFile, AndOneWhoseNextProcessIsKilledAsWell) {
    const std::string batch = lines(0, 40);
    for (int first = 1; first < 8; ++first) {
        for (int second = 1; second < 8; ++second) {
            start_over();
            Journal::Place place;
            {
                const auto old = sink();
                place = old->place();
                killed_while(*old, first, true, place, [&] { old->write(1, batch, {}, true); });
            }
            for (const int note : {second, 0}) {
                const auto next = sink();
                Journal::Place from = place;
                from.bytes = 0;
                next->resume_behind(from);
                killed_while(*next, note, true, place, [&] { next->write(1, batch, {}, true); });
            }
            EXPECT_EQ(all(), batch) << first << ", " << second;
        }
    }
}

TEST_F(RotatedFile, ABacklogThatIsBeingWrittenIsWrittenOnce) {
    const std::string held = lines(0, 20);
    const auto later = Monotonic::now() + std::chrono::seconds(5);
    for (const std::uint64_t max_bytes : {std::uint64_t{0}, std::uint64_t{40}}) {
        for (const bool stands : {false, true}) {
            bool killed = true;
            for (int note = 1; killed; ++note) {
                std::filesystem::remove_all(directory);
                Journal::Place place;
                {
                    const auto old = sink(max_bytes);
                    old->write(1, held, {}, true);
                    EXPECT_EQ(old->unwritten(), held);
                    std::filesystem::create_directory(directory);
                    place = old->place_of_backlog();
                    killed = killed_while(*old, note, stands, place, [&] { old->resume(later); });
                    EXPECT_TRUE(killed || old->is_empty());
                }
                const auto next = sink(max_bytes);
                place.pieces = 0;
                place.lines = 0;
                next->resume_behind(place);
                next->write(~PipeId{0}, held, {}, true);
                EXPECT_EQ(all(), held) << "killed at note " << note << " of " << max_bytes << ", " << stands;
                ASSERT_LT(note, 100);
            }
        }
    }
}

}  // namespace
}  // namespace circus::stream
