#include <fcntl.h>
#include <sys/ioctl.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "stream_fixture.hpp"

namespace circus::stream {
namespace {

// The daemon's stdout is a pipe whose reader is the test.
struct StdoutTest : StreamTest {
    StdoutTest() {
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        reader.reset(ends[0]);
        stdout_end.reset(ends[1]);
        fcntl(reader.get(), F_SETFL, O_NONBLOCK);
        make_streams(stdout_end.get());
    }
    static StreamSpec to_stdout() {
        StreamSpec spec;
        spec.class_name = "StdoutStream";
        return spec;
    }
    void read_some() {
        char buffer[65536];
        const ssize_t n = read(reader.get(), buffer, sizeof buffer);
        if (n > 0) got.append(buffer, static_cast<size_t>(n));
    }
    UniqueFd reader, stdout_end;
    std::string got;
};

std::string many_lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += cat("line ", i, " of the worker\n");
    return text;
}

TEST_F(StdoutTest, GetsTheLines) {
    run(to_stdout(), "one\ntwo\n");
    EXPECT_TRUE(wait_until([&] {
        read_some();
        return got == "one\ntwo\n";
    }));
    EXPECT_EQ(fcntl(stdout_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(StdoutTest, ABlockedStdoutStopsNeitherFilesNorTheLoop) {
    auto blocked = spawn(to_stdout(), many_lines(200'000));  // about 5 MB
    const std::string text = many_lines(50'000);
    run(file("log"), text);
    EXPECT_EQ(slurp(directory + "/log"), text);
    EXPECT_FALSE(is_reaped(*blocked));
    kill(blocked->pid, SIGKILL);
    EXPECT_TRUE(reap(*blocked));  // although nobody reads
}

TEST_F(StdoutTest, ASlowReaderGetsEverythingAndTheWorkerWaits) {
    const std::string text = many_lines(100'000);
    auto worker = spawn(to_stdout(), text);
    EXPECT_TRUE(wait_until([&] {
        read_some();
        is_reaped(*worker);
        return got.size() == text.size() && worker->is_drained;
    }));
    EXPECT_EQ(got, text);
    EXPECT_TRUE(troubles.empty());
}

TEST_F(StdoutTest, AReaderThatIsGoneHoldsUpNobodyAndIsReportedOnce) {
    reader.reset();
    run(to_stdout(), many_lines(200'000));
    EXPECT_TRUE(wait_until([&] { return begun() == 1; }));
    EXPECT_NE(troubles[0].text.find("Broken pipe"), std::string::npos);
}

TEST_F(StdoutTest, ShutdownWithABlockedStdoutIsBounded) {
    auto worker = spawn(to_stdout(), many_lines(200'000));
    ASSERT_TRUE(wait_until([&] {
        int full = 0;
        return ioctl(reader.get(), FIONREAD, &full) == 0 && full >= 60'000;
    }));
    const TimePoint begin = loop.now();
    streams->shutdown(std::chrono::milliseconds(300));
    EXPECT_LT(loop.now() - begin, std::chrono::seconds(2));
    kill(worker->pid, SIGKILL);
    waitpid(worker->pid, nullptr, 0);
}

TEST_F(StdoutTest, ARegularFileWorksAsWell) {
    const UniqueFd out(open((directory + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    make_streams(out.get());
    const std::string text = many_lines(10'000);
    run(to_stdout(), text);
    EXPECT_TRUE(streams->shutdown(std::chrono::seconds(5)));
    EXPECT_EQ(slurp(directory + "/out"), text);
}

}  // namespace
}  // namespace circus::stream
