#include "keeper/channel.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace circus::keeper {

namespace {

constexpr int kSocketBuffer = 8 << 20;

alignas(8) std::array<std::byte, kMaxDatagram> g_datagram;

void enlarge(int socket) {
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer) == 0) return;
    // Unprivileged: the kernel caps the value at net.core.wmem_max by itself.
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
}

void take_descriptors(msghdr& header, Incoming& in) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            UniqueFd owned(fd);
            if (in.fd_count < in.fds.size())
                in.fds[in.fd_count++] = std::move(owned);
            else
                in.lost_fds = true;
        }
    }
}

}  // namespace

Channel::Sent Channel::send(const void* data, std::size_t size, std::span<const int> fds) {
    iovec part{const_cast<void*>(data), size};  // sendmsg does not write to it
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFdsSent)] = {};
    if (!fds.empty()) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
    }
    if (sendmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::Yes;
    switch (errno) {
        case EAGAIN:
            return Sent::Full;
        case ENOMEM:
        case ENOBUFS:
        case EINTR:
        case ETOOMANYREFS:
            return Sent::Later;  // too many descriptors in flight for this user: unix(7)
        default:
            return Sent::Gone;
    }
}

Channel::Received Channel::receive(Incoming& in) {
    for (std::size_t i = 0; i < in.fd_count; ++i) in.fds[i].reset();
    in.fd_count = 0;
    iovec part{g_datagram.data(), g_datagram.size()};
    // Room for one more than allowed, so that too many are seen as such.
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * (kMaxFdsPerMessage + 1))];
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t got = recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    // An arbiter that ended with unread datagrams of ours leaves one ECONNRESET in front of what it still
    // sent.
    if (got < 0 && errno == ECONNRESET)
        got = recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? Received::Nothing : Received::Gone;
    in.lost_fds = (header.msg_flags & MSG_CTRUNC) != 0;
    in.is_cut = (header.msg_flags & MSG_TRUNC) != 0;
    take_descriptors(header, in);
    if (got == 0) return Received::Gone;
    in.bytes = {g_datagram.data(), static_cast<std::size_t>(got)};
    return Received::Message;
}

bool make_channel(UniqueFd& keeper_end, UniqueFd& arbiter_end) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
    keeper_end.reset(ends[0]);
    arbiter_end.reset(ends[1]);
    enlarge(ends[0]);
    enlarge(ends[1]);
    return true;
}

}  // namespace circus::keeper
