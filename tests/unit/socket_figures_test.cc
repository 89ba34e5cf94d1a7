// Figures of real listeners against what the test did to them.
#include "stats/socket_figures.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "sys/connection_counter.hpp"
#include "sys/listen.hpp"

namespace circus::stats {
namespace {

struct Clients {
    static sockaddr_in address_of(const sys::Listener& listener) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(listener.port));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return to;
    }
    void connect_to(const sys::Listener& listener, int count) {
        const sockaddr_in to = address_of(listener);
        for (int i = 0; i < count; ++i) {
            UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            ASSERT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
            fds.push_back(std::move(fd));
        }
    }
    // One that is not waited for.
    void begin_to_connect(const sys::Listener& listener) {
        UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const sockaddr_in to = address_of(listener);
        ASSERT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), -1);
        ASSERT_EQ(errno, EINPROGRESS);
        fds.push_back(std::move(fd));
    }
    void connect_to(const std::string& path, int count) {
        for (int i = 0; i < count; ++i) {
            UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
            sockaddr_un to{};
            to.sun_family = AF_UNIX;
            path.copy(to.sun_path, sizeof to.sun_path - 1);
            ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
            fds.push_back(std::move(fd));
        }
    }
    std::vector<UniqueFd> accept_from(int listener, int count) {
        std::vector<UniqueFd> out;
        for (int i = 0; i < count; ++i) out.emplace_back(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        return out;
    }
    std::vector<UniqueFd> fds;
};

// Where bpf(2) is not permitted there is a reason in the place of the count, and never a guess.
void expect_accepted(const SocketFigures& figures, std::uint64_t count) {
    if (figures.accepted) {
        EXPECT_EQ(figures.accepted, count);
    } else {
        EXPECT_FALSE(figures.absent.at("accepted").empty());
    }
}

sys::Listener listener(int backlog, bool so_reuseport = false, int port = 0) {
    sys::ListenSpec spec;
    spec.host = "127.0.0.1";
    spec.port = port;
    spec.backlog = backlog;
    spec.so_reuseport = so_reuseport;
    auto made = sys::listen_on(spec);
    EXPECT_TRUE(made) << made.error().text;
    return std::move(*made);
}

TEST(SocketFigures, TenConnectionsOfWhichFourWereAccepted) {
    const sys::Listener socket = listener(64);
    sys::ConnectionCounter counter;
    counter.attach(socket.fd.get());
    Clients clients;
    clients.connect_to(socket, 10);
    const auto accepted = clients.accept_from(socket.fd.get(), 4);

    const SocketFigures figures = look_at_socket({socket.fd.get()}, counter);
    EXPECT_EQ(figures.queue, 6U);
    EXPECT_EQ(figures.limit, 64U);
    EXPECT_EQ(figures.in_flight, 4U);
    EXPECT_EQ(figures.drops, 0U);
    expect_accepted(figures, 10U);
}

TEST(SocketFigures, AClosedConnectionIsNotInFlightAndStaysCounted) {
    const sys::Listener socket = listener(64);
    sys::ConnectionCounter counter;
    counter.attach(socket.fd.get());
    Clients clients;
    clients.connect_to(socket, 3);
    clients.accept_from(socket.fd.get(), 3).clear();
    clients.fds.clear();
    const SocketFigures figures = look_at_socket({socket.fd.get()}, counter);
    EXPECT_EQ(figures.in_flight, 0U);
    expect_accepted(figures, 3U);
}

TEST(SocketFigures, AConnectionWhoseClientHasClosedItsSideIsInFlightUntilItsWorkerIsThrough) {
    const sys::Listener socket = listener(64);
    Clients clients;
    clients.connect_to(socket, 4);
    auto accepted = clients.accept_from(socket.fd.get(), 3);
    ASSERT_EQ(::shutdown(clients.fds[0].get(), SHUT_WR), 0);
    clients.fds[1].reset();
    ASSERT_EQ(::shutdown(clients.fds[3].get(), SHUT_WR), 0);
    EXPECT_EQ(look_at_socket({socket.fd.get()}, {}).in_flight, 3U) << "and the one that waits is not";
    accepted.clear();
    EXPECT_EQ(look_at_socket({socket.fd.get()}, {}).in_flight, 0U);
}

TEST(SocketFigures, ListenersOfOnePortAreSummed) {
    // Either takes all of them, for the kernel may give all of them to one.
    const sys::Listener one = listener(16, true);
    const sys::Listener two = listener(16, true, one.port);
    sys::ConnectionCounter counter;
    counter.attach(one.fd.get());
    counter.attach(two.fd.get());
    Clients clients;
    clients.connect_to(one, 12);
    const SocketFigures figures = look_at_socket({one.fd.get(), two.fd.get()}, counter);
    EXPECT_EQ(figures.queue, 12U);
    EXPECT_EQ(figures.limit, 32U);
    expect_accepted(figures, 12U);
}

TEST(SocketFigures, ConnectionsThatFindTheQueueFullAreDrops) {
    const sys::Listener full = listener(1), other = listener(1);
    Clients clients;
    clients.connect_to(full, 2);  // one more than the backlog is what the kernel takes
    const auto before = look_at_socket({full.fd.get()}, {});
    ASSERT_EQ(before.queue, 2U);
    EXPECT_EQ(before.drops, 0U);

    // Nobody accepts: their first packets are dropped as they come, and again when they are repeated.
    for (int i = 0; i < 3; ++i) clients.begin_to_connect(full);
    const auto figures = [&] { return look_at_socket({full.fd.get()}, {}); };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (figures().drops < 3U && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_GE(figures().drops, 3U);
    EXPECT_EQ(figures().queue, 2U);
    EXPECT_EQ(figures().in_flight, 0U);
    EXPECT_EQ(look_at_socket({other.fd.get()}, {}).drops, 0U);
}

TEST(SocketFigures, AnotherListenersConnectionsAreNotItsOwn) {
    const sys::Listener mine = listener(8);
    const sys::Listener other = listener(8);
    Clients clients;
    clients.connect_to(other, 2);
    const auto accepted = clients.accept_from(other.fd.get(), 1);
    const SocketFigures figures = look_at_socket({mine.fd.get()}, {});
    EXPECT_EQ(figures.queue, 0U);
    EXPECT_EQ(figures.in_flight, 0U);
}

sys::Listener unix_listener(const std::string& path, int backlog) {
    sys::ListenSpec spec;
    spec.family = sys::ListenSpec::Family::Unix;
    spec.path = path;
    spec.backlog = backlog;
    auto made = sys::listen_on(spec);
    EXPECT_TRUE(made) << made.error().text;
    return std::move(*made);
}

struct Folder {
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path = [] {
        char name[] = "/tmp/circus-figures-XXXXXX";
        return std::string(::mkdtemp(name));
    }();
};

TEST(SocketFigures, AUnixSocketWhosePathBeginsAsAnothersHasItsOwnConnections) {
    const Folder folder;
    const std::string mine = folder.path + "/web", other = mine + "2";
    const sys::Listener web = unix_listener(mine, 5), web2 = unix_listener(other, 5);
    Clients clients;
    clients.connect_to(mine, 1);
    clients.connect_to(other, 2);
    const auto accepted = clients.accept_from(web.fd.get(), 1);
    const auto others = clients.accept_from(web2.fd.get(), 2);
    EXPECT_EQ(look_at_socket({web.fd.get()}, {}).in_flight, 1U);
    EXPECT_EQ(look_at_socket({web2.fd.get()}, {}).in_flight, 2U);
}

TEST(SocketFigures, AUnixSocketHasAQueueAndSaysWhatItHasNot) {
    const Folder folder;
    const std::string path = folder.path + "/s";
    const sys::Listener socket = unix_listener(path, 5);
    Clients clients;
    clients.connect_to(path, 4);
    const auto accepted = clients.accept_from(socket.fd.get(), 1);

    const SocketFigures figures = look_at_socket({socket.fd.get()}, {});
    EXPECT_EQ(figures.queue, 3U);
    EXPECT_EQ(figures.limit, 5U);
    EXPECT_EQ(figures.in_flight, 1U);
    EXPECT_FALSE(figures.accepted);
    EXPECT_EQ(figures.absent.at("accepted"), "no listener of TCP");
    EXPECT_FALSE(figures.absent.at("drops").empty());
}

TEST(SocketFigures, WithoutAListenerNothingWaits) {
    const SocketFigures figures = look_at_socket({}, {});
    EXPECT_EQ(figures.queue, 0U);
    EXPECT_EQ(figures.in_flight, 0U);
    EXPECT_EQ(figures.drops, 0U);
}

}  // namespace
}  // namespace circus::stats
