#include "sys/peer.hpp"

#include <cerrno>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/text.hpp"
#include "sys/proc_net.hpp"
#include "sys/sock_diag.hpp"

namespace circus::sys {

namespace {

Peer unix_peer(int fd) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return {.unknown = sys_error("asking for a peer's credentials", errno).text};
    return {.uid = credentials.uid, .pid = credentials.pid};
}

std::string numeric(const sockaddr_storage& address, socklen_t length) {
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host, sizeof host, port,
                      sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return {};
    std::string_view name = host;
    // Of an IPv4 client at a socket for both protocols.
    constexpr std::string_view kMapped = "::ffff:";
    if (name.starts_with(kMapped)) name.remove_prefix(kMapped.size());
    return name.find(':') == std::string_view::npos ? cat(name, ":", std::string_view(port))
                                                    : cat("[", name, "]:", std::string_view(port));
}

}  // namespace

Peer peer_of(int fd) {
    sockaddr_storage far{};
    socklen_t length = sizeof far;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&far), &length) != 0)
        return {.unknown = sys_error("asking for a peer's address", errno).text};
    if (far.ss_family == AF_UNIX) return unix_peer(fd);
    Peer peer{.address = numeric(far, length)};
    if (const auto uid = owner_of_far_end(fd))
        peer.uid = *uid;
    else if (const auto written = owner_of_far_end_by_proc(fd))
        peer.uid = *written;
    else
        peer.unknown = uid.error().text;
    return peer;
}

}  // namespace circus::sys
