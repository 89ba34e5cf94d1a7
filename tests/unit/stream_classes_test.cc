// What is no file: the fancy stdout, lines in memory, classes that are offered at run time; and on_slow.
#include <algorithm>
#include <fcntl.h>
#include <mutex>
#include <regex>
#include <sys/stat.h>
#include <thread>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "config/option_table.hpp"
#include "stream/last_lines.hpp"
#include "stream/lines.hpp"
#include "stream/ring.hpp"
#include "stream/sink_class.hpp"
#include "stream_fixture.hpp"

namespace circus::stream {
namespace {

std::string many_lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += cat("line ", i, " of the worker\n");
    return text;
}

std::vector<std::string> texts_of(const Tail& tail) {
    std::vector<std::string> texts;
    for (const auto& line : tail.lines) texts.push_back(line.text);
    return texts;
}

using Texts = std::vector<std::string>;

TEST(SinkClassTest, EachClassThatAConfigurationMayNameIsThere) {
    for (const auto& row : config::stream_classes())
        EXPECT_NE(find_sink_class(row.name), nullptr) << row.name;
    EXPECT_EQ(find_sink_class("KafkaStream"), nullptr);
    for (int i = 0; i < 50; ++i) EXPECT_GT(color_number(random_color()), 0);
}

// ---- the fancy stdout ----

struct FancyTest : StreamTest {
    FancyTest() : out(open((directory + "/out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
        make_streams(out.get());
    }
    static StreamSpec fancy(const std::string& color, const std::string& time_format) {
        StreamSpec spec;
        spec.class_name = "FancyStdoutStream";
        spec.watcher = "web";
        spec.color = color;
        spec.time_format = time_format;
        return spec;
    }
    std::string written(const StreamSpec& spec, const std::string& text) {
        const auto before = slurp(directory + "/out").size();
        auto worker = spawn(spec, text);
        pid = worker->pid;
        EXPECT_TRUE(reap(*worker));
        // The thread of stdout may be behind.
        std::string got;
        EXPECT_TRUE(wait_until([&] {
            got = slurp(directory + "/out").substr(before);
            return std::count(got.begin(), got.end(), '\n') == std::count(text.begin(), text.end(), '\n');
        }));
        return got;
    }
    UniqueFd out;
    pid_t pid = 0;
};

TEST_F(FancyTest, EachLineHasExactlyTheBytesOfCircus) {
    const std::string got = written(fancy("blue", "%Y"), "one\ntwo\n");
    const std::string year = got.substr(std::string("\033[0;34;40m").size(), 4);
    const std::string head = cat("\033[0;34;40m", year, " [", pid, "] | ");
    EXPECT_EQ(got, head + "one\033[0m\n" + head + "two\033[0m\n");
    EXPECT_TRUE(std::regex_match(year, std::regex(R"(20\d\d)")));
}

TEST_F(FancyTest, TheColoursAreNumberedOneToSeven) {
    int number = 1;
    for (const char* color : {"red", "green", "yellow", "blue", "magenta", "cyan", "white"})
        EXPECT_TRUE(written(fancy(color, "%Y"), "x\n").starts_with(cat("\033[0;3", number++, ";40m")))
            << color;
}

TEST_F(FancyTest, WithoutAColourOneIsDrawnOnceForAWatcherAndTheTimeIsCircuss) {
    const std::regex line(R"(\x1b\[0;3([1-7]);40m\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\d+\] \| x\x1b\[0m\n)");
    std::smatch first, second;
    const std::string one = written(fancy("", ""), "x\n"), two = written(fancy("", ""), "x\n");
    ASSERT_TRUE(std::regex_match(one, first, line)) << one;
    ASSERT_TRUE(std::regex_match(two, second, line)) << two;
    EXPECT_EQ(first[1], second[1]);
}

TEST_F(FancyTest, AnUnfinishedLineDoesNotLeaveTheTerminalInItsColour) {
    run(fancy("red", "%Y"), "no end");
    EXPECT_TRUE(wait_until([&] { return slurp(directory + "/out").ends_with("| no end\033[0m"); }));
}

// ---- lines in memory ----

TEST(RingTest, KeepsTheLastLinesAndTheirOrder) {
    Ring ring(3);
    EXPECT_TRUE(ring.read({}).lines.empty());
    ring.append(7, 1.5, "a\nb\n");
    ring.append(8, 2.5, "c\nd\n");
    const Tail tail = ring.read({});
    EXPECT_EQ(texts_of(tail), (Texts{"b", "c", "d"}));
    EXPECT_EQ(tail.lines[0].pid, 7);
    EXPECT_EQ(tail.lines[2].time, 2.5);
    EXPECT_EQ(texts_of(ring.read({.lines = 2})), (Texts{"c", "d"}));
    EXPECT_EQ(texts_of(ring.read({.pid = 7})), (Texts{"b"}));
}

TEST(RingTest, ACursorGoesOnBehindTheLastAnswerAndTellsWhatIsGone) {
    Ring ring(4);
    ring.append(1, 0, "a\nb\n");
    Tail tail = ring.read({});
    ring.append(1, 0, "c\n");
    tail = ring.read({.cursor = tail.cursor});
    EXPECT_EQ(texts_of(tail), (Texts{"c"}));
    EXPECT_EQ(tail.skipped, 0u);
    EXPECT_TRUE(ring.read({.cursor = tail.cursor}).lines.empty());
    ring.append(1, 0, "d\ne\nf\ng\nh\ni\n");
    const Tail late = ring.read({.lines = 2, .cursor = tail.cursor});
    EXPECT_EQ(texts_of(late), (Texts{"f", "g"}));
    EXPECT_EQ(late.skipped, 2u);
    EXPECT_EQ(texts_of(ring.read({.cursor = late.cursor})), (Texts{"h", "i"}));
}

TEST(RingTest, ACursorOfAnotherRingOrNonsenseMeansAllThereIs) {
    Ring ring(4), other(4);
    ring.append(1, 0, "a\n");
    other.append(1, 0, "x\ny\n");
    for (const std::string& cursor : {other.read({}).cursor, std::string("nonsense"), std::string("1.-3")})
        EXPECT_EQ(texts_of(ring.read({.cursor = cursor})), (Texts{"a"})) << cursor;
    const std::string mark = ring.read({}).cursor.substr(0, ring.read({}).cursor.find('.'));
    EXPECT_TRUE(ring.read({.cursor = mark + ".99999"}).lines.empty());
}

TEST(RingTest, ABatchOfMoreLinesThanItKeepsIsCounted) {
    Ring ring(2);
    ring.append(1, 0, "a\n");
    const std::string cursor = ring.read({}).cursor;
    ring.append(1, 0, "b\nc\nd\nlast");
    EXPECT_EQ(texts_of(ring.read({})), (Texts{"d", "last"}));
    EXPECT_EQ(ring.read({.cursor = cursor}).skipped, 2u);
}

TEST(RingTest, IsBoundedInBytesAndSoIsAnAnswer) {
    Ring ring(1000);
    const std::string line(60'000, 'x');
    for (int i = 0; i < 400; ++i) ring.append(1, 0, line + "\n");
    size_t total = 0;
    Tail tail = ring.read({.lines = 1000});
    EXPECT_LE(tail.lines.size() * line.size(), kMaxAnswer);
    std::string cursor = "x";
    do {
        tail = ring.read({.lines = 1000, .cursor = cursor});
        cursor = tail.cursor;
        total += tail.lines.size() * line.size();
    } while (!tail.lines.empty());
    EXPECT_LE(total, Ring::kMaxBytes);
    EXPECT_GT(total, Ring::kMaxBytes / 2);
    ring.resize(1);
    EXPECT_EQ(ring.read({}).lines.size(), 1u);
}

struct QueueTest : StreamTest {
    static StreamSpec queue(size_t lines, const char* watcher = "web") {
        StreamSpec spec;
        spec.class_name = "QueueStream";
        spec.watcher = watcher;
        spec.lines = lines;
        return spec;
    }
};

TEST_F(QueueTest, TheLastLinesOfAWatcherAreThereAfterItsProcessesAreGone) {
    auto one = spawn(queue(5), many_lines(1000));
    EXPECT_TRUE(reap(*one));
    auto two = spawn(queue(5), "hel");
    EXPECT_TRUE(reap(*two));
    const auto tail = streams->tail("WEB", Channel::Stdout, {});
    ASSERT_TRUE(tail);
    EXPECT_EQ(texts_of(*tail), (Texts{"line 996 of the worker", "line 997 of the worker",
                                      "line 998 of the worker", "line 999 of the worker", "hel"}));
    EXPECT_EQ(tail->lines[0].pid, one->pid);
    EXPECT_EQ(tail->lines[4].pid, two->pid);
    EXPECT_FALSE(streams->tail("web", Channel::Stderr, {}));
    EXPECT_FALSE(streams->tail("other", Channel::Stdout, {}));
}

TEST_F(QueueTest, LinesInPiecesAreWhole) {
    auto worker = spawn(queue(100), [](int fd) {
        for (const char* piece : {"a", "b\nc", "d", "\ne\nf\n"}) {
            write_all(fd, piece);
            usleep(20'000);
        }
    });
    EXPECT_TRUE(reap(*worker));
    EXPECT_EQ(texts_of(*streams->tail("web", Channel::Stdout, {})), (Texts{"ab", "cd", "e", "f"}));
}

TEST_F(QueueTest, AWatcherThatIsForgottenKeepsNothingAndOneThatWritesElsewhereBeginsAnew) {
    run(queue(5), "x\n");
    streams->forget("Web");
    EXPECT_FALSE(streams->tail("web", Channel::Stdout, {}));
    run(queue(5), "y\n");
    EXPECT_EQ(texts_of(*streams->tail("web", Channel::Stdout, {})), Texts{"y"});
    StreamSpec elsewhere = file("log");
    elsewhere.watcher = "web";
    run(elsewhere, "z\n");
    EXPECT_EQ(texts_of(*streams->tail("web", Channel::Stdout, {})), Texts{"z"});
    streams->forget("Web");
    EXPECT_FALSE(streams->tail("web", Channel::Stdout, {}));
    run(elsewhere, "z\n");
    run(queue(5), "y\n");
    EXPECT_EQ(texts_of(*streams->tail("web", Channel::Stdout, {})), Texts{"y"});
}

TEST_F(QueueTest, AReaderDisturbsNobody) {
    auto worker = spawn(queue(1000), many_lines(200'000));
    std::string cursor = "x";
    long long seen = -1, before = 0;  // lines that came before the ring was looked at
    std::uint64_t got = 0, skipped = 0;
    EXPECT_TRUE(wait_until([&] {
        const bool over = is_reaped(*worker) && worker->is_drained;
        for (;;) {
            const auto tail = streams->tail("web", Channel::Stdout, {.lines = 500, .cursor = cursor});
            cursor = tail->cursor;
            skipped += tail->skipped;
            for (const auto& line : tail->lines) {
                const long long number = std::stoll(line.text.substr(5));
                EXPECT_GT(number, seen);
                if (seen < 0) before = number - static_cast<long long>(skipped);
                seen = number;
                ++got;
            }
            if (tail->lines.empty()) break;
        }
        return over;
    }));
    EXPECT_EQ(seen, 199'999);
    // Each line since then was either read or counted.
    EXPECT_EQ(got + skipped, 200'000u - static_cast<std::uint64_t>(before));
}

// ---- the last lines of any class ----

TEST(LinesTest, NewlinesAreCountedInStepsAsOneByOne) {
    std::string text;
    for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(count_newlines(text), static_cast<size_t>(std::count(text.begin(), text.end(), '\n')));
        text += i % 7 == 0 || i > 500 ? '\n' : 'x';
    }
}

TEST(LastLinesTest, OneThatWritesMuchDoesNotPushOutAnother) {
    LastLines lines;
    lines.append(1, 11, {}, "quiet\n");
    for (int i = 0; i < 100; ++i) lines.append(2, 12, {}, many_lines(1000));
    lines.append(1, 11, {}, "still here\n");
    EXPECT_EQ(texts_of(lines.read({.pid = 11})), (Texts{"quiet", "still here"}));
    EXPECT_EQ(texts_of(lines.read({.lines = 3})),
              (Texts{"line 998 of the worker", "line 999 of the worker", "still here"}));
    const Tail loud = lines.read({.lines = 1'000'000, .pid = 12});
    size_t bytes = 0;
    for (const auto& line : loud.lines) bytes += line.text.size() + 1;
    EXPECT_LE(bytes, LastLines::kMost);
    EXPECT_GT(bytes, LastLines::kMost * 3 / 4);
    EXPECT_EQ(loud.lines.back().pid, 12);
}

TEST(LastLinesTest, ALineAtATimeCostsNoMoreThanItsShare) {
    LastLines lines;
    for (int i = 0; i < 100'000; ++i) lines.append(1, 11, {}, "\n");
    // What it costs to hold a line counts too.
    EXPECT_LT(lines.read({.lines = 1'000'000}).lines.size(), LastLines::kMost / 40);
}

TEST(LastLinesTest, ACursorGoesOnBehindTheLastAnswerAndTellsWhatIsGone) {
    LastLines lines, other;
    lines.append(1, 11, {}, "a\nb\n");
    std::string cursor = lines.read({}).cursor;
    lines.append(2, 12, {}, "c\n");
    lines.append(1, 11, {}, "d\ne");
    Tail tail = lines.read({.lines = 1, .cursor = cursor});
    EXPECT_EQ(texts_of(tail), (Texts{"c"}));
    tail = lines.read({.pid = 11, .cursor = tail.cursor});
    EXPECT_EQ(texts_of(tail), (Texts{"d", "e"}));
    EXPECT_TRUE(lines.read({.cursor = tail.cursor}).lines.empty());
    EXPECT_EQ(tail.skipped, 0u);
    EXPECT_EQ(lines.read({.lines = 0}).cursor, tail.cursor);
    for (const std::string& foreign : {other.read({}).cursor, std::string("nonsense")})
        EXPECT_EQ(texts_of(lines.read({.cursor = foreign})), (Texts{"a", "b", "c", "d", "e"})) << foreign;
}

TEST(LastLinesTest, EachLineIsReadOrCountedOnceInHoweverManyAnswers) {
    LastLines lines;
    std::string cursor = lines.read({}).cursor;
    for (int i = 0; i < 50; ++i) {
        lines.append(1, 11, {}, many_lines(100));
        lines.append(2, 12, {}, "rare\n");
    }
    std::uint64_t got = 0, skipped = 0;
    for (;;) {
        const Tail tail = lines.read({.lines = 7, .cursor = cursor});
        if (tail.lines.empty()) break;
        got += tail.lines.size();
        skipped += tail.skipped;
        cursor = tail.cursor;
    }
    EXPECT_GT(skipped, 0u);
    EXPECT_EQ(got + skipped, 50u * 101);
}

TEST(LastLinesTest, ThoseThatAreGoneHaveAsMuchTogetherAsOneThatLives) {
    LastLines lines;
    lines.append(1000, 5, {}, "alive\n");
    for (int i = 0; i < 50; ++i) {
        lines.append(static_cast<PipeId>(i + 1), 100 + i, {}, many_lines(800));
        lines.left(static_cast<PipeId>(i + 1));
    }
    lines.left(77'777);  // it has never written
    const Tail tail = lines.read({.lines = 1'000'000});
    size_t bytes = 0;
    for (const auto& line : tail.lines) bytes += line.text.size() + 1;
    EXPECT_LE(bytes, LastLines::kMost + 6);
    EXPECT_EQ(tail.lines.front().text, "alive");
    EXPECT_EQ(tail.lines.back().pid, 149);
    EXPECT_EQ(lines.read({.lines = 1'000'000, .pid = 149}).lines.size(), 800u) << "the last of them is whole";
}

TEST(LastLinesTest, ALineInTwoPiecesIsOneAndOfOneThatIsTooLongItsEndIsKept) {
    LastLines lines;
    lines.append(1, 11, "hel", "lo\nworld\n");
    EXPECT_EQ(texts_of(lines.read({})), (Texts{"hello", "world"}));
    const std::string cursor = lines.read({}).cursor;
    lines.append(1, 11, std::string(50'000, 'x'), std::string(50'000, 'y') + "end\n");
    const Tail tail = lines.read({.cursor = cursor});
    ASSERT_EQ(tail.lines.size(), 1u);
    EXPECT_TRUE(tail.lines[0].text.ends_with("yyyend"));
    EXPECT_LE(tail.lines[0].text.size(), LastLines::kMost);
    EXPECT_GT(tail.lines[0].text.size(), LastLines::kMost / 2);
    EXPECT_EQ(tail.skipped, 0u);
}

struct LastLinesOfTest : StreamTest {
    StreamSpec of(const char* class_name, Channel channel = Channel::Stdout) {
        StreamSpec spec = file(class_name);
        spec.class_name = class_name;
        spec.watcher = "Web";
        spec.channel = channel;
        spec.time_format = "%Y";
        return spec;
    }
};

TEST_F(LastLinesOfTest, AFileHasThemWithoutTheTimeBeforeThem) {
    auto one = spawn(of("FileStream"), many_lines(1000));
    EXPECT_TRUE(reap(*one));
    auto two = spawn(of("WatchedFileStream", Channel::Stderr), "o\nh");
    EXPECT_TRUE(reap(*two));
    const auto tail = streams->tail("WEB", Channel::Stdout, {.lines = 2});
    ASSERT_TRUE(tail);
    EXPECT_EQ(texts_of(*tail), (Texts{"line 998 of the worker", "line 999 of the worker"}));
    EXPECT_EQ(tail->lines[0].pid, one->pid);
    EXPECT_EQ(texts_of(*streams->tail("web", Channel::Stderr, {})), (Texts{"o", "h"}));
    EXPECT_FALSE(streams->tail("other", Channel::Stdout, {}));
}

TEST_F(LastLinesOfTest, WhatASinkCannotWriteIsThereAllTheSame) {
    const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    make_streams(full.get());
    auto worker = spawn(of("StdoutStream"), "seen\n");
    EXPECT_TRUE(reap(*worker));
    EXPECT_EQ(texts_of(*streams->tail("web", Channel::Stdout, {})), Texts{"seen"});
    streams->shutdown(Milliseconds(10));
}

// ---- classes that are offered ----

struct Sent {
    std::string text;
    int chunks = 0;
    size_t room = ~size_t{0};  // bytes that are still taken
    std::thread::id thread;
    Chunk last;
};

class FakeSink final : public LoopSink {
  public:
    explicit FakeSink(Sent& sent) : sent_(sent) {}
    size_t write(std::span<const Chunk> chunks) override {
        sent_.thread = std::this_thread::get_id();
        size_t taken = 0;
        for (const Chunk& chunk : chunks) {
            if (chunk.bytes.size() > sent_.room) break;
            sent_.room -= chunk.bytes.size();
            sent_.text += chunk.bytes;
            sent_.last = chunk;
            ++sent_.chunks;
            ++taken;
        }
        return taken;
    }

  private:
    Sent& sent_;
};

class FakeClass final : public LoopSinkClass {
  public:
    Result<std::unique_ptr<LoopSink>> open(const StreamSpec& spec) override {
        options.push_back(spec.options);
        if (!refuses.empty()) return Error{refuses};
        auto sink = std::make_unique<FakeSink>(sent);
        current = sink.get();
        return std::unique_ptr<LoopSink>(std::move(sink));
    }
    Sent sent;
    FakeSink* current = nullptr;
    std::vector<std::string> options;
    std::string refuses;
};

struct OfferedTest : StreamTest {
    ~OfferedTest() override { streams.reset(); }
    static StreamSpec offered() {
        StreamSpec spec;
        spec.class_name = "FakeStream";
        spec.watcher = "web";
        spec.channel = Channel::Stderr;
        spec.options = R"({"topic":"logs"})";
        return spec;
    }
    FakeClass fake;
};

TEST_F(OfferedTest, ASinkOnTheLoopGetsTheLinesAndWhoseTheyAre) {
    streams->offer("FakeStream", fake);
    auto worker = spawn(offered(), "one\ntwo\nrest");
    EXPECT_TRUE(reap(*worker));
    EXPECT_TRUE(wait_until([&] { return fake.sent.text == "one\ntwo\nrest"; }));
    EXPECT_EQ(fake.options, Texts{R"({"topic":"logs"})"});
    EXPECT_EQ(fake.sent.thread, std::this_thread::get_id());
    EXPECT_EQ(fake.sent.last.watcher, "web");
    EXPECT_EQ(fake.sent.last.channel, Channel::Stderr);
    EXPECT_EQ(fake.sent.last.pid, worker->pid);
    EXPECT_GT(fake.sent.last.time, 1e9);
}

TEST_F(OfferedTest, ASinkThatTakesNoMoreHoldsUpItsWorkerAloneAndLosesNothing) {
    streams->offer("FakeStream", fake);
    fake.sent.room = 100'000;
    const std::string text = many_lines(100'000);  // about 2.5 MB
    auto worker = spawn(offered(), text);
    run(file("log"), many_lines(50'000));
    EXPECT_EQ(slurp(directory + "/log"), many_lines(50'000));
    EXPECT_FALSE(is_reaped(*worker));
    EXPECT_TRUE(wait_until([&] {
        fake.sent.room = 300'000;
        streams->ready(*fake.current);
        is_reaped(*worker);
        return worker->is_drained && fake.sent.text.size() == text.size();
    }));
    EXPECT_EQ(fake.sent.text, text);
    EXPECT_TRUE(troubles.empty());
}

TEST_F(OfferedTest, AClassThatIsWithdrawnStopsNoWorkerAndTheNextOfferGetsWhatWaited) {
    run(offered(), "before\n");
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_EQ(troubles[0].target, "FakeStream of web");
    streams->offer("FakeStream", fake);
    EXPECT_TRUE(wait_until([&] { return fake.sent.text == "before\n" && ended() == 1; }));
    streams->withdraw("FakeStream");
    run(offered(), many_lines(200'000));
    EXPECT_TRUE(wait_until([&] { return begun() == 2; }));
    streams->offer("FakeStream", fake);
    EXPECT_TRUE(wait_until([&] { return ended() == 2; }));
    EXPECT_TRUE(wait_until([&] {
        return "before\n" + many_lines(200'000).substr(0, fake.sent.text.size() - 7) == fake.sent.text;
    }));
    EXPECT_EQ(fake.sent.text.size() - 7 + troubles.back().lost_bytes, many_lines(200'000).size());
}

TEST_F(OfferedTest, AClassThatCannotOpenIsTriedAgainWithTheNextWorker) {
    fake.refuses = "no connection";
    streams->offer("FakeStream", fake);
    run(offered(), "one\n");
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_EQ(troubles[0].text, "no connection");
    fake.refuses.clear();
    run(offered(), "two\n");
    EXPECT_TRUE(wait_until([&] { return fake.sent.text == "one\ntwo\n" && ended() == 1; }));
}

TEST_F(OfferedTest, ShutdownHandsOverWhatIsInThePipes) {
    streams->offer("FakeStream", fake);
    auto pipe = streams->open(offered());
    ASSERT_TRUE(pipe);
    streams->start(pipe->id, getpid());
    ASSERT_TRUE(write_all(pipe->write_end.get(), many_lines(2000)));
    EXPECT_TRUE(streams->shutdown(std::chrono::seconds(5)));
    EXPECT_EQ(fake.sent.text, many_lines(2000));
}

// ---- on_slow ----

TEST_F(StreamTest, WhoDropsWhenItIsSlowNeverHoldsUpItsWorkerAndCountsEachByte) {
    StreamSpec spec = file("fifo");
    spec.watcher = "web";
    spec.drops_when_slow = true;
    ASSERT_EQ(mkfifo(spec.filename.c_str(), 0600), 0);
    const UniqueFd reader(open(spec.filename.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const std::string text = many_lines(100'000);
    run(spec, text);  // although nobody reads
    ASSERT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_EQ(troubles[0].watchers, Texts{"web"});
    std::string got, buffer(60'000, '\0');
    EXPECT_TRUE(wait_until([&] {
        const ssize_t n = read(reader.get(), buffer.data(), buffer.size());
        if (n > 0) got.append(buffer, 0, static_cast<size_t>(n));
        return ended() == 1;
    }));
    EXPECT_EQ(got.size() + troubles.back().lost_bytes, text.size());
    EXPECT_GT(troubles.back().lost_bytes, 0u);
    EXPECT_TRUE(got.ends_with("\n"));
    EXPECT_EQ(troubles.back().watchers, Texts{"web"});
}

}  // namespace
}  // namespace circus::stream
