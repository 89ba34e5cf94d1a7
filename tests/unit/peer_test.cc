// Who is at the other end of a connection: every kind of socket, by either way of asking.
#include "sys/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "sys/proc_net.hpp"
#include "sys/sock_diag.hpp"

namespace circus::sys {
namespace {

union Address {
    sockaddr any;
    sockaddr_in in;
    sockaddr_in6 in6;
};

Address loopback(int family, bool mapped = false) {
    Address address{};
    if (family == AF_INET) {
        address.in = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
        return address;
    }
    address.in6.sin6_family = AF_INET6;
    address.in6.sin6_addr = in6addr_loopback;
    if (mapped) ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.in6.sin6_addr);
    return address;
}

in_port_t& port_of(Address& address) {
    return address.any.sa_family == AF_INET ? address.in.sin_port : address.in6.sin6_port;
}

// A connection within this machine; `accepted` is invalid where there is no such protocol.
struct Connection {
    UniqueFd client, accepted;

    // `server` any: ::, which takes IPv4 clients as well.
    Connection(int server, Address to) {
        const UniqueFd listener(::socket(server, SOCK_STREAM | SOCK_CLOEXEC, 0));
        Address at = loopback(server);
        if (server == AF_INET6) {
            at.in6.sin6_addr = in6addr_any;
            const int both = 0;
            ::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
        }
        socklen_t size = sizeof at;
        if (::bind(listener.get(), &at.any, size) != 0 || ::listen(listener.get(), 5) != 0) return;
        ::getsockname(listener.get(), &at.any, &size);
        port_of(to) = port_of(at);
        client.reset(::socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(client.get(), &to.any, sizeof to) != 0) return;
        accepted.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
};

// The client's socket is another user's.
constexpr uid_t kAnother = 65531;

TEST(Peer, OfTcpItIsTheOwnerOfTheOtherEnd) {
    struct Row {
        int server;
        Address to;
        const char* beginning;
    };
    for (const Row& row :
         {Row{AF_INET, loopback(AF_INET), "127.0.0.1:"}, Row{AF_INET6, loopback(AF_INET6), "[::1]:"},
          Row{AF_INET6, loopback(AF_INET), "127.0.0.1:"},
          Row{AF_INET6, loopback(AF_INET6, true), "127.0.0.1:"},
          Row{AF_INET, loopback(AF_INET6, true), "127.0.0.1:"}}) {
        const Connection connection(row.server, row.to);
        if (!connection.accepted) continue;  // no IPv6 here
        uid_t owner = ::geteuid();
        if (owner == 0 && ::fchown(connection.client.get(), kAnother, static_cast<gid_t>(-1)) == 0)
            owner = kAnother;
        const Peer peer = peer_of(connection.accepted.get());
        EXPECT_EQ(peer.uid, owner) << peer.unknown;
        EXPECT_EQ(peer.address.find(row.beginning), 0U) << peer.address;
        EXPECT_EQ(peer.pid, 0);
        const auto asked = owner_of_far_end(connection.accepted.get());
        const auto read = owner_of_far_end_by_proc(connection.accepted.get());
        ASSERT_TRUE(asked) << asked.error().text;
        ASSERT_TRUE(read) << read.error().text;
        EXPECT_EQ(*asked, owner);
        EXPECT_EQ(*read, owner);
    }
}

TEST(Peer, WhoHasClosedHisEndIsNotKnown) {
    for (const int family : {AF_INET, AF_INET6}) {
        Connection connection(family, loopback(family));
        if (!connection.accepted) continue;
        connection.client.reset();
        const Peer peer = peer_of(connection.accepted.get());
        EXPECT_FALSE(peer.uid);
        EXPECT_EQ(peer.unknown, "no process of this machine holds the other end");
        EXPECT_FALSE(owner_of_far_end_by_proc(connection.accepted.get()));
    }
}

TEST(Peer, OfAUnixSocketItIsWhoConnected) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const UniqueFd one(ends[0]), other(ends[1]);
    const Peer peer = peer_of(one.get());
    EXPECT_EQ(peer.uid, ::geteuid());
    EXPECT_EQ(peer.pid, ::getpid());
    EXPECT_EQ(peer.address, "");
}

TEST(Peer, WhatIsNoConnectionIsNotKnown) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const UniqueFd one(ends[0]), other(ends[1]);
    for (const int fd : {one.get(), -1}) {
        const Peer peer = peer_of(fd);
        EXPECT_FALSE(peer.uid);
        EXPECT_NE(peer.unknown, "");
    }
}

}  // namespace
}  // namespace circus::sys
