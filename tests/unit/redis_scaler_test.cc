// The example redis_scaler against a Redis of the test's own on loopback, which knows one command.
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>

namespace circus {
namespace {

using testing::FakeHost;

// LLEN of the list "jobs"; below zero: it hangs up.
class FakeRedis {
  public:
    FakeRedis() {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::listen(listener_, 16);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeRedis() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    std::atomic<long long> length{0};
    int port = 0;

  private:
    void serve() {
        int fd = -1;
        while ((fd = ::accept(listener_, nullptr, nullptr)) >= 0) {
            const std::string wanted = "*2\r\n$4\r\nLLEN\r\n$4\r\njobs\r\n";
            std::string asked(wanted.size(), '\0');
            const bool is_good =
                ::recv(fd, asked.data(), asked.size(), MSG_WAITALL) > 0 && asked == wanted && length >= 0;
            const std::string answer = is_good ? ":" + std::to_string(length.load()) + "\r\n" : "";
            if (!answer.empty()) ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
            ::close(fd);
        }
    }
    int listener_ = -1;
    std::thread thread_;
};

struct RedisScalerTest : ::testing::Test {
    void start() {
        ASSERT_EQ(host.start({{"port", redis.port}, {"interval", 0.01}, {"most", 8}, {"patience", 3}}),
                  CIRCUS_OK)
            << host.error();
    }
    // The first change it asks for within so many looks, when there are `now` workers.
    FakeHost::Call change(int now, int looks) {
        while (looks > 0) {
            host.deliver();
            std::this_thread::yield();
            for (const auto& call : host.take_calls()) {
                if (call.command != "get") return call;
                --looks;
                host.reply_to("get", CIRCUS_OK, {{"options", {{"numprocesses", now}}}});
            }
        }
        host.deliver();
        const auto calls = host.take_calls();
        return calls.empty() || calls.front().command == "get" ? FakeHost::Call{} : calls.front();
    }
    FakeRedis redis;
    FakeHost host;
};

TEST_F(RedisScalerTest, ALongListStartsWorkersAtOnceAndNoMoreThanMost) {
    redis.length = 41;
    start();
    const auto more = change(2, 1);
    EXPECT_EQ(more.command, "incr");
    EXPECT_EQ(more.properties, Json({{"name", "worker"}, {"nb", 3}}));
    redis.length = 1000;
    change(5, 2);
    EXPECT_EQ(change(5, 5).properties.at("nb"), 3);
}

TEST_F(RedisScalerTest, AShortOneEndsThemAfterAWhileAndDrained) {
    start();
    const auto fewer = change(4, 3);
    EXPECT_EQ(fewer.command, "decr");
    EXPECT_EQ(fewer.properties, Json({{"name", "worker"}, {"nb", 3}, {"drain", 30}}));
}

TEST_F(RedisScalerTest, WhatIsRightIsLeftAlone) {
    redis.length = 15;
    start();
    EXPECT_EQ(change(2, 10).command, "");
}

TEST_F(RedisScalerTest, ASilentRedisChangesNothingAndIsToldOnce) {
    redis.length = -1;
    start();
    std::vector<FakeHost::Line> lines;
    while (lines.empty()) {
        host.deliver();
        lines = host.take_lines();
    }
    EXPECT_EQ(lines.size(), 1u);
    EXPECT_TRUE(host.take_calls().empty());
    redis.length = 50;
    EXPECT_EQ(change(1, 1).command, "incr");
    EXPECT_TRUE(host.take_lines().empty());
}

TEST(RedisScalerOptions, WhatMakesNoSenseIsRefused) {
    FakeHost host;
    EXPECT_EQ(host.start({{"least", 5}, {"most", 4}}), CIRCUS_E_INVALID);
    EXPECT_EQ(host.start({{"host", "redis.example"}}), CIRCUS_E_INVALID);
    EXPECT_EQ(host.error(), "the host \"redis.example\" is no address");
}

}  // namespace
}  // namespace circus
