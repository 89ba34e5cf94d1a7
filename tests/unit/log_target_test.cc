// The daemon's log at its far end: what a line looks like, and what happens when nobody takes it.
#include "bin/log_target.hpp"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::bin {
namespace {

namespace fs = std::filesystem;
using config::LogOutput;

const auto kWhen = std::chrono::system_clock::from_time_t(1'700'000'000) + std::chrono::milliseconds(7);

LogRecord record(std::string_view text, log::Level level = log::Level::Info) {
    return {kWhen, level, text};
}

std::string read(const fs::path& path) {
    std::ostringstream all;
    all << std::ifstream(path, std::ios::binary).rdbuf();
    return all.str();
}

// A syslog server: a bound datagram socket.
class SyslogServer {
  public:
    explicit SyslogServer(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        ::unlink(path.c_str());
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    SyslogServer() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
        port = ntohs(address.sin_port);
    }
    // The next message; empty: none came.
    std::string next(int patience = 5000) {
        pollfd ready{fd_.get(), POLLIN, 0};
        std::array<char, 65536> text{};
        if (::poll(&ready, 1, patience) != 1) return {};
        const ssize_t got = ::recv(fd_.get(), text.data(), text.size(), 0);
        return std::string(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    }
    int port = 0;

  private:
    UniqueFd fd_;
};

struct LogTargetTest : testing::Test {
    fs::path directory;
    std::unique_ptr<LogTarget> target;

    void SetUp() override {
        std::string pattern = testing::TempDir() + "log-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory = pattern;
        ::setenv("TZ", "UTC", 1);
    }
    void TearDown() override {
        target.reset();
        fs::remove_all(directory);
    }
    std::string path(const char* name) const { return (directory / name).string(); }
    Status open(const std::string& written) {
        auto output = config::parse_log_output(written);
        if (!output) return output.error();
        auto opened = open_log_target(*output);
        if (!opened) return opened.error();
        target = std::move(*opened);
        return Ok{};
    }
    Status write(std::string_view text, log::Level level = log::Level::Info, bool json = false) {
        return target->write(record(text, level), json, [] { return true; });
    }
    std::string pid() const { return std::to_string(::getpid()); }
};

TEST_F(LogTargetTest, ATextLineIsOneLineWhateverItSays) {
    EXPECT_EQ(text_line(record("a\nb\x1b[1m\tc\x7f\xc3\xa9", log::Level::Warning)),
              "2023-11-14 22:13:20.007 circusd[" + pid() + "] [warning] a\\nb\\x1b[1m\tc\\x7f\xc3\xa9");
}

TEST_F(LogTargetTest, AJsonLineIsAnObjectWhateverItSays) {
    const std::string line = json_line(record("a\nb \"x\" \xff", log::Level::Critical));
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(line), nlohmann::json({{"time", "2023-11-14T22:13:20.007Z"},
                                                           {"level", "critical"},
                                                           {"pid", ::getpid()},
                                                           {"message", "a\nb \"x\" \xef\xbf\xbd"}}));
}

TEST_F(LogTargetTest, AFileIsAppendedToAndOpenedAnewAfterARename) {
    ASSERT_TRUE(open(path("log")));
    ASSERT_TRUE(write("one"));
    fs::rename(path("log"), path("log.1"));
    ASSERT_TRUE(write("two"));
    ASSERT_TRUE(target->reopen());
    ASSERT_TRUE(write("three", log::Level::Info, true));
    EXPECT_EQ(read(path("log.1")), text_line(record("one")) + "\n" + text_line(record("two")) + "\n");
    EXPECT_EQ(read(path("log")), json_line(record("three")) + "\n");
}

TEST_F(LogTargetTest, AFileThatCannotBeOpenedAnewGoesOnAsItWas) {
    fs::create_directory(path("d"));
    ASSERT_TRUE(open(path("d/log")));
    fs::rename(path("d"), path("e"));
    EXPECT_FALSE(target->reopen());
    ASSERT_TRUE(write("still here"));
    EXPECT_EQ(read(path("e/log")), text_line(record("still here")) + "\n");
}

TEST_F(LogTargetTest, AFullDiskLosesLinesAndTearsNone) {
    ASSERT_TRUE(open("/dev/full"));
    const Status lost = write("one");
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, ENOSPC);
}

TEST_F(LogTargetTest, AnotherUsersLinkIsNotFollowed) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a link of another user's";
    std::ofstream(path("precious")) << "untouched";
    fs::create_symlink(path("precious"), path("log"));
    ASSERT_EQ(::lchown(path("log").c_str(), 65534, 65534), 0);
    const Status opened = open(path("log"));
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().text.find(path("log")), std::string::npos);
    EXPECT_EQ(read(path("precious")), "untouched");
}

TEST_F(LogTargetTest, APipeThatNobodyReadsIsGivenUpOnlyWhenAsked) {
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
    const UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(open(path("pipe")));
    const std::string text(6000, 'x');  // more than a pipe takes at once
    int asked = 0;
    const auto give_up = [&asked] { return ++asked == 3; };
    Status written = Ok{};
    for (int i = 0; i < 1000 && written; ++i) written = target->write(record(text), false, give_up);
    ASSERT_FALSE(written);
    EXPECT_EQ(asked, 3);
    // What is read now ends where it was torn, and the next line begins anew.
    std::string all;
    std::array<char, 65536> buffer{};
    const auto drain = [&] {
        for (ssize_t got; (got = ::read(reader.get(), buffer.data(), buffer.size())) > 0;)
            all.append(buffer.data(), static_cast<std::size_t>(got));
    };
    drain();
    ASSERT_TRUE(write("last"));
    drain();
    EXPECT_TRUE(all.ends_with("\n" + text_line(record("last")) + "\n"));
}

TEST_F(LogTargetTest, ASyslogMessageHasFacilityAndSeverity) {
    SyslogServer server(path("log"));
    ASSERT_TRUE(open("syslog://" + path("log") + "?local3"));
    const std::array<int, 5> severities{LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT};
    for (std::size_t i = 0; i < severities.size(); ++i) {
        ASSERT_TRUE(write("a\nb", static_cast<log::Level>(i)));
        EXPECT_EQ(server.next(),
                  cat("<", LOG_LOCAL3 + severities[i], ">Nov 14 22:13:20 circusd[", pid(), "]: a\\nb"));
    }
    ASSERT_TRUE(write("x", log::Level::Info, true));
    EXPECT_TRUE(server.next().ends_with("]: " + json_line(record("x"))));
    ASSERT_TRUE(write(std::string(100'000, 'x')));
    EXPECT_EQ(server.next().size(), 8192U);
}

TEST_F(LogTargetTest, OverUdpTheHostIsNamedToo) {
    SyslogServer server;
    ASSERT_TRUE(open(cat("syslog://127.0.0.1:", server.port, "?daemon")));
    ASSERT_TRUE(write("hello"));
    std::array<char, 256> host{};
    ASSERT_EQ(::gethostname(host.data(), host.size() - 1), 0);
    EXPECT_EQ(server.next(), cat("<", LOG_DAEMON + LOG_INFO, ">Nov 14 22:13:20 ",
                                 std::string_view(host.data()), " circusd[", pid(), "]: hello"));
}

TEST_F(LogTargetTest, AServerThatIsStartedLaterOrAnewGetsItsLines) {
    ASSERT_TRUE(open("syslog://" + path("log")));
    EXPECT_FALSE(write("nobody yet"));
    {
        SyslogServer first(path("log"));
        ASSERT_TRUE(write("one"));
        EXPECT_TRUE(first.next().ends_with("one"));
    }
    EXPECT_FALSE(write("nobody"));
    SyslogServer second(path("log"));
    ASSERT_TRUE(write("two"));
    EXPECT_TRUE(second.next().ends_with("two"));
}

TEST_F(LogTargetTest, AServerThatDoesNotReadIsGivenUpOnlyWhenAsked) {
    SyslogServer server(path("log"));
    ASSERT_TRUE(open("syslog://" + path("log")));
    Status sent = Ok{};
    int lines = 0;
    for (; lines < 10'000 && sent; ++lines) sent = write(cat("line ", lines));
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, EAGAIN);
    for (int line = 0; line < lines - 1; ++line)
        ASSERT_TRUE(server.next().ends_with(cat("line ", line))) << "in order, none lost before";
    ASSERT_TRUE(write("again"));
    EXPECT_TRUE(server.next().ends_with("again"));
}

}  // namespace
}  // namespace circus::bin
