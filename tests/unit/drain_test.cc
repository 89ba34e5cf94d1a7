// SocketDrain and steering against real listeners and a real process.
#include "supervise/drain.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "sys/listen.hpp"
#include "sys/pidfd.hpp"
#include "sys/reuseport_group.hpp"
#include "sys/sock_diag.hpp"

namespace circus::supervise {
namespace {

sys::Listener listen_on_loopback(int port = 0, bool reuseport = false) {
    sys::ListenSpec spec;
    spec.host = "127.0.0.1";
    spec.port = port;
    spec.so_reuseport = reuseport;
    spec.blocking = true;
    auto listener = sys::listen_on(spec);
    EXPECT_TRUE(listener) << listener.error().text;
    return std::move(*listener);
}

UniqueFd connect_to(int port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
}

// A process that takes one connection after the other and keeps each until its client ends it.
struct Worker {
    explicit Worker(int listener) {
        pid = ::fork();
        if (pid == 0) {
            while (true) {
                const int fd = ::accept(listener, nullptr, nullptr);
                char byte = 'r';
                if (::write(fd, &byte, 1) < 0) ::_exit(1);
                while (::read(fd, &byte, 1) > 0) {
                }
                ::close(fd);
            }
        }
        pidfd = std::move(*sys::open_pidfd(pid));
    }
    ~Worker() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    pid_t pid = -1;
    UniqueFd pidfd;
};

bool is_served(const UniqueFd& client, int patience_ms) {
    pollfd waiting{client.get(), POLLIN, 0};
    return ::poll(&waiting, 1, patience_ms) == 1;
}

constexpr int kPatience = 10'000;

template <class F>
bool comes_true(const F& condition) {
    for (int i = 0; i < kPatience / 5; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

struct SocketDrainTest : ::testing::Test {
    bool has_work() { return drain.has_work(worker.pid, {{listener.fd.get(), false, true}}); }
    sys::Listener listener = listen_on_loopback();
    Worker worker{listener.fd.get()};
    SocketDrain drain;
};

TEST_F(SocketDrainTest, AWorkerWithAConnectionHasWorkUntilItIsThrough) {
    EXPECT_FALSE(has_work());
    UniqueFd client = connect_to(listener.port);
    ASSERT_TRUE(is_served(client, kPatience));
    EXPECT_TRUE(has_work());
    client.reset();
    EXPECT_TRUE(comes_true([&] { return !has_work(); }));
}

TEST_F(SocketDrainTest, AClientThatHasOnlyClosedForWritingStillWaitsForItsAnswer) {
    const UniqueFd client = connect_to(listener.port);
    ASSERT_TRUE(is_served(client, kPatience));
    ASSERT_EQ(::kill(worker.pid, SIGSTOP), 0);
    ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
    EXPECT_TRUE(has_work());
}

TEST_F(SocketDrainTest, AFrozenOneAcceptsNothingAndTheNextOneGetsIt) {
    ASSERT_TRUE(drain.freeze(worker.pid, worker.pidfd.get()));
    ASSERT_TRUE(comes_true([&] { return drain.stands_still(worker.pid); }));
    const UniqueFd client = connect_to(listener.port);
    EXPECT_FALSE(is_served(client, 100));
    EXPECT_EQ(sys::accept_queue(listener.fd.get())->length, 1u);
    EXPECT_FALSE(has_work());
    ASSERT_EQ(sys::signal_pidfd(worker.pidfd.get(), SIGTERM), 0);
    ASSERT_EQ(sys::signal_pidfd(worker.pidfd.get(), SIGCONT), 0);
    const Worker next(listener.fd.get());
    EXPECT_TRUE(is_served(client, kPatience));
}

TEST_F(SocketDrainTest, WhoRunsDoesNotStandStill) {
    EXPECT_FALSE(drain.stands_still(worker.pid));
    EXPECT_FALSE(drain.freeze(worker.pid, -1));
}

TEST(SocketDrain, WhatIsQueuedOnAListenerOfItsOwnIsItsWork) {
    const sys::Listener listener = listen_on_loopback();
    const UniqueFd client = connect_to(listener.port);
    SocketDrain drain;
    EXPECT_TRUE(drain.has_work(::getpid(), {{listener.fd.get(), true, true}}));
    EXPECT_FALSE(drain.has_work(::getpid(), {{listener.fd.get(), false, true}}));
    EXPECT_FALSE(drain.has_work(::getpid(), {{listener.fd.get(), true, false}})) << "datagrams";
}

TEST(ReuseportGroup, OnlySomeGetNewConnectionsUntilAllDoAgain) {
    std::vector<sys::Listener> group;
    group.push_back(listen_on_loopback(0, true));
    const int port = group.front().port;
    for (int i = 0; i < 3; ++i) group.push_back(listen_on_loopback(port, true));
    std::vector<UniqueFd> clients;
    const auto queued = [&](std::size_t i) { return sys::accept_queue(group[i].fd.get())->length; };
    ASSERT_TRUE(sys::steer_to(group[0].fd.get(), {1, 3}));
    for (int i = 0; i < 60; ++i) clients.push_back(connect_to(port));
    EXPECT_EQ(queued(0) + queued(2), 0u);
    EXPECT_EQ(queued(1) + queued(3), 60u);
    EXPECT_GT(queued(1), 0u);
    ASSERT_TRUE(sys::steer_to(group[0].fd.get(), {2}));
    for (int i = 0; i < 5; ++i) clients.push_back(connect_to(port));
    EXPECT_EQ(queued(2), 5u);
    ASSERT_TRUE(sys::steer_to_all(group[0].fd.get()));
    ASSERT_TRUE(sys::steer_to_all(group[0].fd.get())) << "also where nothing steers";
    for (int i = 0; i < 60; ++i) clients.push_back(connect_to(port));
    EXPECT_GT(queued(0), 0u);
}

}  // namespace
}  // namespace circus::supervise
