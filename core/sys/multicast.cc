#include "sys/multicast.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/text.hpp"

namespace circus::sys {

Result<UniqueFd> join_multicast(const std::string& group, int port) {
    const auto failure = [&](const char* act) {
        return sys_error(cat(act, " udp://", group, ":", port), errno);
    };
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return failure("cannot make a socket for");
    // Several circusd of one machine, and Circus's, share the port: all get what is sent to the group.
    // Without SO_REUSEPORT, which would let users of one uid only share it, and share out what is sent to one
    // address.
    const int yes = 1;
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)
        return failure("cannot share");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return failure("cannot bind");
    ip_mreq member{};
    if (::inet_pton(AF_INET, group.c_str(), &member.imr_multiaddr) != 1) {
        errno = EINVAL;
        return failure("cannot join");
    }
    if (::setsockopt(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &member, sizeof member) != 0)
        return failure("cannot join");
    return fd;
}

std::optional<UdpSender> take_datagram(int fd) {
    char ignored = 0;
    sockaddr_in from{};
    socklen_t length = sizeof from;
    while (::recvfrom(fd, &ignored, sizeof ignored, MSG_DONTWAIT | MSG_TRUNC,
                      reinterpret_cast<sockaddr*>(&from), &length) < 0) {
        if (errno != EINTR) return std::nullopt;
    }
    return UdpSender{from.sin_addr.s_addr, from.sin_port};
}

void send_datagram(int fd, const UdpSender& to, std::string_view text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = to.port;
    address.sin_addr.s_addr = to.address;
    ::sendto(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace circus::sys
