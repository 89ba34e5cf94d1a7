#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <map>
#include <regex>

#include "base/text.hpp"
#include "stream/last_bytes.hpp"
#include "stream_fixture.hpp"

namespace circus::stream {
namespace {

std::string numbered_lines(int worker, int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += cat("worker ", worker, " line ", i, std::string(static_cast<size_t>(i % 90), '.'), "\n");
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    auto lines = split(text, '\n');
    if (!lines.empty() && lines.back().empty()) lines.pop_back();
    return lines;
}

TEST_F(StreamTest, EightWorkersShareAFileWithoutMixingOrLosingALine) {
    constexpr int kWorkers = 8, kLines = 5000;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<std::string> texts;
    for (int w = 0; w < kWorkers; ++w) texts.push_back(numbered_lines(w, kLines));
    for (int w = 0; w < kWorkers; ++w) {
        workers.push_back(spawn(file("log"), [&, w](int fd) {
            // In pieces that have nothing to do with the lines.
            const std::string_view text = texts[static_cast<size_t>(w)];
            for (size_t at = 0, n = 1; at < text.size(); at += n, n = 1 + (at * 7) % 3000)
                write_all(fd, text.substr(at, n));
        }));
    }
    for (auto& worker : workers) EXPECT_TRUE(reap(*worker));
    std::array<std::string, kWorkers> got;
    for (const auto& line : lines_of(slurp(directory + "/log"))) {
        int w = -1, number = -1;
        ASSERT_EQ(std::sscanf(line.c_str(), "worker %d line %d", &w, &number), 2) << line;
        ASSERT_TRUE(w >= 0 && w < kWorkers);
        got[static_cast<size_t>(w)] += line + "\n";
    }
    for (size_t w = 0; w < kWorkers; ++w) EXPECT_EQ(got[w], texts[w]) << "worker " << w;
}

TEST_F(StreamTest, TheFirstLineThatMatchesIsToldOnceAndIsWrittenAsItIs) {
    auto pattern = Pattern::compile("ready \\d+$");
    ASSERT_TRUE(pattern);
    auto pipe = streams->open(file("log"));
    ASSERT_TRUE(pipe);
    int found = 0;
    streams->watch(pipe->id, std::move(*pattern), [&found] { ++found; });
    streams->start(pipe->id, 7);
    const auto say = [&](std::string_view text) { return write_all(pipe->write_end.get(), text); };
    ASSERT_TRUE(say("ready\nnot ready 12 yet\nalready re"));
    ASSERT_TRUE(wait_until([&] { return slurp(directory + "/log").size() == 23; }));
    EXPECT_EQ(found, 0);
    ASSERT_TRUE(say("ady 12\r\nready 13\n"));
    EXPECT_TRUE(wait_until([&] { return found > 0; }));
    bool drained = false;
    pipe->write_end.reset();
    streams->finish(pipe->id, [&drained](const auto&) { drained = true; });
    EXPECT_TRUE(wait_until([&] { return drained; }));
    EXPECT_EQ(found, 1);
    EXPECT_EQ(slurp(directory + "/log"), "ready\nnot ready 12 yet\nalready ready 12\r\nready 13\n");
}

TEST_F(StreamTest, WhatIsWrittenAndWhatIsDroppedIsCountedByOutput) {
    StreamSpec written = file("written");
    written.watcher = "Web";
    run(written, std::string(1000, 'x') + "\n");
    StreamSpec full = written;
    full.filename = "/dev/full";
    full.channel = Channel::Stderr;
    run(full, std::string(999, 'x') + "\n");
    for (int i = 0; i < 4; ++i) run(full, std::string(500, 'x') + "\n" + std::string(300'000, 'y'));
    EXPECT_EQ(streams->counted("web", Channel::Stdout).bytes, 1001u);
    EXPECT_EQ(streams->counted("web", Channel::Stdout).dropped, 0u);
    const auto counted = streams->counted("web", Channel::Stderr);
    EXPECT_EQ(counted.bytes, 1000u + 4 * 300'501);
    EXPECT_GT(counted.dropped, 300'000u);
    EXPECT_LT(counted.dropped, counted.bytes);
    streams->forget("web");
    EXPECT_EQ(streams->counted("web", Channel::Stdout).bytes, 0u);
}

TEST_F(StreamTest, WhatAStderrGaveLastIsToldAtItsEnd) {
    StreamSpec spec = file("log");
    spec.channel = Channel::Stderr;
    const auto short_one = spawn(spec, "first\nno newline");
    ASSERT_TRUE(reap(*short_one));
    EXPECT_EQ(short_one->last, "first\nno newline");
    const auto silent = spawn(spec, "");
    ASSERT_TRUE(reap(*silent));
    EXPECT_EQ(silent->last, "");
    const std::string text = numbered_lines(0, 2000) + "the end\n";
    const auto long_one = spawn(spec, text);
    ASSERT_TRUE(reap(*long_one));
    ASSERT_TRUE(long_one->last);
    EXPECT_EQ(*long_one->last, text.substr(text.size() - long_one->last->size()));
    EXPECT_EQ(long_one->last->size(), LastBytes::kMax);
}

TEST_F(StreamTest, WhatAStderrGaveLastIsTheSameWhenItEndsLongBeforeItsProcess) {
    StreamSpec spec = file("log");
    spec.channel = Channel::Stderr;
    auto pipe = streams->open(spec);
    ASSERT_TRUE(pipe);
    streams->start(pipe->id, 7);
    write_all(pipe->write_end.get(), "bye\n");
    pipe->write_end.reset();
    ASSERT_TRUE(wait_until([&] { return slurp(directory + "/log") == "bye\n"; }));
    std::optional<std::string> last;
    bool drained = false;
    streams->finish(pipe->id, [&](const std::optional<std::string>& what) {
        drained = true;
        last = what;
    });
    ASSERT_TRUE(wait_until([&] { return drained; }));
    EXPECT_EQ(last, "bye\n");
}

TEST_F(StreamTest, NothingIsKeptOfAStdout) {
    const auto worker = spawn(file("log"), "words\n");
    ASSERT_TRUE(reap(*worker));
    EXPECT_EQ(worker->last, std::nullopt);
}

TEST_F(StreamTest, AWorkerThatWritesAndExitsAtOnceLosesNothing) {
    const std::string text = numbered_lines(0, 2000) + "no newline at the end";
    for (int i = 0; i < 20; ++i) run(file(cat("log", i)), text);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(slurp(directory + cat("/log", i)), text);
}

TEST_F(StreamTest, BytesAreNotChanged) {
    std::string text;
    for (unsigned i = 0; i < 300'000; ++i) text += static_cast<char>(i * i >> 3);
    run(file("log"), text);
    EXPECT_EQ(slurp(directory + "/log"), text);
}

TEST_F(StreamTest, ALineOfAMegabyteArrivesWhole) {
    const std::string text = std::string(1 << 20, 'x') + "\nnext\n";
    run(file("log"), text);
    EXPECT_EQ(slurp(directory + "/log"), text);
}

TEST_F(StreamTest, AnUnfinishedLineIsEndedBeforeAnotherWorkersLine) {
    run(file("log"), "dead in the mid");
    EXPECT_EQ(slurp(directory + "/log"), "dead in the mid");
    run(file("log"), "hello\n");
    EXPECT_EQ(slurp(directory + "/log"), "dead in the mid\nhello\n");
}

TEST_F(StreamTest, AGrandchildThatHoldsThePipeDelaysTheEndByATenthOfASecond) {
    int hold[2];
    ASSERT_EQ(pipe(hold), 0);
    auto worker = spawn(file("log"), [&](int fd) {
        write_all(fd, "before\npartial");
        if (fork() == 0) {
            close(hold[1]);
            char byte;
            if (read(hold[0], &byte, 1) < 0) _exit(1);  // until the test is over
            _exit(0);
        }
    });
    ASSERT_TRUE(wait_until([&] { return is_reaped(*worker); }));
    const TimePoint reaped = loop.now();
    EXPECT_TRUE(wait_until([&] { return worker->is_drained; }));
    const auto took = loop.now() - reaped;
    EXPECT_GE(took, std::chrono::milliseconds(90));
    EXPECT_LT(took, std::chrono::seconds(2));
    EXPECT_EQ(slurp(directory + "/log"), "before\npartial");
    close(hold[1]);
    close(hold[0]);
}

TEST_F(StreamTest, FinishOfAPipeThatEndedBeforeIsDrainedAtOnce) {
    auto worker = spawn(file("log"), [](int fd) {
        write_all(fd, "x\n");
        close(fd);
        pause();
    });
    EXPECT_TRUE(wait_until([&] { return slurp(directory + "/log") == "x\n"; }));
    kill(worker->pid, SIGKILL);
    EXPECT_TRUE(reap(*worker));
}

TEST_F(StreamTest, LinesArriveWhileTheWorkerRuns) {
    auto worker = spawn(file("log"), [](int fd) {
        write_all(fd, "one\ntwo\nhal");
        pause();
    });
    EXPECT_TRUE(wait_until([&] { return slurp(directory + "/log") == "one\ntwo\n"; }));
    kill(worker->pid, SIGKILL);
    EXPECT_TRUE(reap(*worker));
    EXPECT_EQ(slurp(directory + "/log"), "one\ntwo\nhal");
}

TEST_F(StreamTest, TheTimeFormatStandsBeforeEachLineOnce) {
    StreamSpec spec = file("log");
    spec.time_format = "%Y %f %%f";
    auto worker = spawn(spec, "one\n\n" + std::string(200'000, 'x') + "\nlast");
    EXPECT_TRUE(reap(*worker));
    const std::string prefix = R"(\d{4} \d{6} %f \[)" + std::to_string(worker->pid) + R"(\] \| )";
    const auto lines = lines_of(slurp(directory + "/log"));
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_TRUE(std::regex_match(lines[0], std::regex(prefix + "one")));
    EXPECT_TRUE(std::regex_match(lines[1], std::regex(prefix)));
    EXPECT_TRUE(lines[2].ends_with("] | " + std::string(200'000, 'x')));
    EXPECT_TRUE(std::regex_match(lines[3], std::regex(prefix + "last")));
}

TEST_F(StreamTest, DiscardClosesThePipe) {
    auto pipe = streams->open(file("log"));
    ASSERT_TRUE(pipe);
    streams->discard(pipe->id);
    EXPECT_TRUE(wait_until([&] { return !write_all(pipe->write_end.get(), "x\n"); }));
    EXPECT_EQ(slurp(directory + "/log"), "");
}

TEST_F(StreamTest, ShutdownWritesWhatIsInThePipes) {
    auto pipe = streams->open(file("log"));
    ASSERT_TRUE(pipe);
    streams->start(pipe->id, getpid());
    const std::string text = numbered_lines(1, 1000) + "end";
    ASSERT_TRUE(write_all(pipe->write_end.get(), text));
    EXPECT_TRUE(streams->shutdown(std::chrono::seconds(5)));
    EXPECT_EQ(slurp(directory + "/log"), text);
    EXPECT_FALSE(streams->open(file("log")));
}

TEST_F(StreamTest, ShutdownWithoutAPipeIsNothing) {
    EXPECT_TRUE(streams->shutdown(std::chrono::seconds(1)));
}

TEST_F(StreamTest, ARelativeNameIsOfTheWorkingDirectory) {
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(directory);
    StreamSpec spec;
    spec.filename = "log";
    run(spec, "x\n");
    std::filesystem::current_path(before);
    run(file("./log"), "y\n");
    EXPECT_EQ(slurp(directory + "/log"), "x\ny\n");
}

TEST_F(StreamTest, AnIdleThreadUsesNoTime) {
    auto pipe = streams->open(file("log"));
    ASSERT_TRUE(pipe);
    streams->start(pipe->id, getpid());
    ASSERT_TRUE(write_all(pipe->write_end.get(), "x\n"));
    ASSERT_TRUE(wait_until([&] { return slurp(directory + "/log") == "x\n"; }));
    timespec before{}, after{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    bool over = false;
    loop::Timer half_a_second(loop, [&] { over = true; });
    half_a_second.start(std::chrono::milliseconds(500));
    while (!over) loop.run_once();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    EXPECT_LT((after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec, 50'000'000);
}

}  // namespace
}  // namespace circus::stream
