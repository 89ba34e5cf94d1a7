#include "sys/sock_diag.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/unique_fd.hpp"

namespace circus::sys {

namespace {

using Each = std::function<void(const nlmsghdr&)>;

constexpr unsigned bit(unsigned state) {
    return 1U << state;
}

// Whoever has accepted one of these is not through with it: also when the other side has closed its own half,
// as it does who has nothing more to say, or who has all of the answer that he wants.
constexpr unsigned kInHand = bit(TCP_ESTABLISHED) | bit(TCP_CLOSE_WAIT);

// Sends one request and calls `each` with every answer. The kernel answers inside send(2), so nothing waits.
template <class Body>
Status ask(const Body& body, std::uint16_t flags, const Each& each) {
    UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
    if (!netlink) return sys_error("asking the kernel for its sockets", errno);
    struct {
        nlmsghdr header;
        Body body;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    request.body = body;
    if (::send(netlink.get(), &request, sizeof request, 0) < 0)
        return sys_error("asking the kernel for its sockets", errno);
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    while (true) {
        const ssize_t got = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return sys_error("asking the kernel for its sockets", got < 0 ? errno : EPROTO);
        auto left = static_cast<unsigned>(got);
        for (const auto* at = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(at, left);
             at = NLMSG_NEXT(at, left)) {
            if (at->nlmsg_type == NLMSG_DONE) return Ok{};
            if (at->nlmsg_type == NLMSG_ERROR) {
                const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(at));
                return sys_error("asking the kernel for its sockets", -error->error);
            }
            each(*at);
            if ((flags & NLM_F_DUMP) == 0) return Ok{};
        }
    }
}

// The attribute of that type of those that begin there; null: there is none of at least that size.
const rtattr* find_attribute(const void* begin, std::size_t bytes, unsigned type, std::size_t size) {
    auto left = static_cast<unsigned>(bytes);
    for (const auto* at = static_cast<const rtattr*>(begin); RTA_OK(at, left); at = RTA_NEXT(at, left))
        if ((at->rta_type & NLA_TYPE_MASK) == type && RTA_PAYLOAD(at) >= size) return at;
    return nullptr;
}

// One of those that are inside of another one.
const rtattr* find_inside(const rtattr* outer, unsigned type, std::size_t size) {
    return outer ? find_attribute(RTA_DATA(outer), RTA_PAYLOAD(outer), type, size) : nullptr;
}

// One of those behind the fixed part of an answer.
template <class Fixed>
const rtattr* attribute_of(const nlmsghdr& answer, unsigned type, std::size_t size) {
    if (answer.nlmsg_len < NLMSG_LENGTH(sizeof(Fixed))) return nullptr;
    const char* begin = static_cast<const char*>(NLMSG_DATA(&answer)) + NLMSG_ALIGN(sizeof(Fixed));
    return find_attribute(begin, answer.nlmsg_len - NLMSG_LENGTH(NLMSG_ALIGN(sizeof(Fixed))), type, size);
}

template <class Fixed>
const void* attribute(const nlmsghdr& answer, unsigned type, std::size_t size) {
    const rtattr* const found = attribute_of<Fixed>(answer, type, size);
    return found ? RTA_DATA(found) : nullptr;
}

template <class Fixed>
const Fixed* fixed_part(const nlmsghdr& answer) {
    return answer.nlmsg_len < NLMSG_LENGTH(sizeof(Fixed)) ? nullptr
                                                          : static_cast<const Fixed*>(NLMSG_DATA(&answer));
}

struct Address {
    sockaddr_storage storage{};
    socklen_t length = sizeof(sockaddr_storage);

    int family() const { return storage.ss_family; }
    // The bytes of an internet address; none when it is any address.
    std::vector<unsigned char> host() const {
        std::vector<unsigned char> bytes;
        if (family() == AF_INET) {
            const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
            const auto* at = reinterpret_cast<const unsigned char*>(&in.sin_addr);
            bytes.assign(at, at + sizeof in.sin_addr);
        } else {
            const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
            const auto* at = reinterpret_cast<const unsigned char*>(&in6.sin6_addr);
            bytes.assign(at, at + sizeof in6.sin6_addr);
        }
        const bool any = std::all_of(bytes.begin(), bytes.end(), [](unsigned char b) { return b == 0; });
        return any ? std::vector<unsigned char>() : bytes;
    }
    in_port_t port() const {  // network order; sin_port and sin6_port stand at the same place
        return reinterpret_cast<const sockaddr_in&>(storage).sin_port;
    }
    std::string path() const {  // of a unix socket, with the leading NUL of an abstract one
        const auto& un = reinterpret_cast<const sockaddr_un&>(storage);
        const std::size_t size = length - offsetof(sockaddr_un, sun_path);
        std::string text(un.sun_path, std::min(size, sizeof un.sun_path));
        if (!text.empty() && text.front() != '\0') text.resize(std::strlen(text.c_str()));
        return text;
    }
};

Result<Address> address_of(int fd) {
    Address address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0)
        return sys_error("asking for a socket's address", errno);
    return address;
}

Result<Address> far_address_of(int fd) {
    Address address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0)
        return sys_error("asking for a peer's address", errno);
    return address;
}

inet_diag_req_v2 internet_request(const Address& address, unsigned states) {
    inet_diag_req_v2 request{};
    request.sdiag_family = static_cast<std::uint8_t>(address.family());
    request.sdiag_protocol = IPPROTO_TCP;
    request.idiag_states = states;
    request.id.idiag_sport = address.port();
    return request;
}

// An end of a connection for a request: address and port, in network order. An IPv4 address that is written
// as an IPv6 one is found by the kernel only as what it is.
struct End {
    int family = AF_INET;
    std::array<__be32, 4> host{};
    in_port_t port = 0;
};

End end_of(const Address& address) {
    End end{.family = address.family(), .port = address.port()};
    if (end.family == AF_INET) {
        end.host[0] = reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr.s_addr;
        return end;
    }
    const in6_addr& host = reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&host)) {
        end.family = AF_INET;
        std::memcpy(end.host.data(), &host.s6_addr[12], sizeof end.host[0]);
    } else {
        std::memcpy(end.host.data(), &host, sizeof host);
    }
    return end;
}

// Calls `each(socket, answer)` with every socket of this very address.
template <class Body, class EachSocket>
Status each_internet(const Address& address, const Body& request, const EachSocket& each) {
    return ask(request, NLM_F_DUMP, [&each, host = address.host()](const nlmsghdr& answer) {
        const auto* found = fixed_part<inet_diag_msg>(answer);
        if (found && (host.empty() || std::memcmp(found->id.idiag_src, host.data(), host.size()) == 0))
            each(*found, answer);
    });
}

using Inode = std::function<void(std::uint32_t)>;

Status each_open_internet(const Address& address, unsigned states, const Inode& each) {
    return each_internet(address, internet_request(address, states),
                         [&each](const inet_diag_msg& found, const nlmsghdr&) {
                             if (found.idiag_inode != 0) each(found.idiag_inode);
                         });
}

// Of that very name: the kernel tells a path with the NUL behind it, and an abstract name as it was bound.
bool has_name(const nlmsghdr& answer, std::string_view name) {
    const rtattr* const told = attribute_of<unix_diag_msg>(answer, UNIX_DIAG_NAME, name.size());
    if (!told) return false;
    std::string_view text(static_cast<const char*>(RTA_DATA(told)), RTA_PAYLOAD(told));
    if (!text.starts_with('\0')) text = text.substr(0, text.find('\0'));
    return text == name;
}

Status each_open_unix(const Address& address, const Inode& each) {
    const std::string path = address.path();
    unix_diag_req request{};
    request.sdiag_family = AF_UNIX;
    request.udiag_states = bit(TCP_ESTABLISHED);
    request.udiag_show = UDIAG_SHOW_NAME;
    return ask(request, NLM_F_DUMP, [&](const nlmsghdr& answer) {
        const auto* found = fixed_part<unix_diag_msg>(answer);
        if (found && found->udiag_ino != 0 && has_name(answer, path)) each(found->udiag_ino);
    });
}

Status each_open(int listener, unsigned states, const Inode& each) {
    const auto address = address_of(listener);
    if (!address) return address.error();
    if (address->family() == AF_UNIX) return each_open_unix(*address, each);
    return each_open_internet(*address, states, each);
}

Result<QueueFigures> unix_queue(int listener) {
    const auto inode = inode_of(listener);
    if (!inode) return inode.error();
    unix_diag_req request{};
    request.sdiag_family = AF_UNIX;
    request.udiag_states = bit(TCP_LISTEN);
    request.udiag_ino = *inode;
    request.udiag_show = UDIAG_SHOW_RQLEN;
    request.udiag_cookie[0] = request.udiag_cookie[1] = INET_DIAG_NOCOOKIE;
    std::optional<QueueFigures> figures;
    const Status asked = ask(request, 0, [&](const nlmsghdr& answer) {
        if (const void* raw = attribute<unix_diag_msg>(answer, UNIX_DIAG_RQLEN, sizeof(unix_diag_rqlen))) {
            unix_diag_rqlen length{};
            std::memcpy(&length, raw, sizeof length);
            figures = QueueFigures{length.udiag_rqueue, length.udiag_wqueue};
        }
    });
    if (!asked) return asked.error();
    if (!figures) return Error{"the kernel does not tell the queue of a unix socket"};
    return *figures;
}

}  // namespace

Result<QueueFigures> accept_queue(int listener) {
    const auto address = address_of(listener);
    if (!address) return address.error();
    if (address->family() == AF_UNIX) return unix_queue(listener);
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return sys_error("asking for an accept queue", errno);
    if (info.tcpi_state != TCP_LISTEN) return Error{"the socket does not listen"};
    return QueueFigures{info.tcpi_unacked, info.tcpi_sacked};
}

Result<std::uint64_t> accepted_and_open(int listener) {
    std::uint64_t count = 0;
    const Status asked = each_open(listener, kInHand, [&count](std::uint32_t) { ++count; });
    if (!asked) return asked.error();
    return count;
}

Result<std::set<std::uint32_t>> accepted_inodes(int listener) {
    std::set<std::uint32_t> inodes;
    const Status asked =
        each_open(listener, kInHand, [&inodes](std::uint32_t inode) { inodes.insert(inode); });
    if (!asked) return asked.error();
    return inodes;
}

// Whoever closes a connection, or ends, takes it out of these two states.
Result<std::map<std::uint32_t, std::uint64_t>> connections_by_mark(int listener, int marks) {
    const auto address = address_of(listener);
    if (!address) return address.error();
    struct {
        inet_diag_req_v2 request;
        nlattr storages, map;
        int fd;
    } request{internet_request(*address, kInHand),
              {2 * NLA_HDRLEN + sizeof marks, INET_DIAG_REQ_SK_BPF_STORAGES},
              {NLA_HDRLEN + sizeof marks, SK_DIAG_BPF_STORAGE_REQ_MAP_FD},
              marks};
    std::map<std::uint32_t, std::uint64_t> counts;
    const Status asked = each_internet(*address, request, [&](const inet_diag_msg&, const nlmsghdr& answer) {
        const rtattr* const all = attribute_of<inet_diag_msg>(answer, INET_DIAG_SK_BPF_STORAGES, 0);
        std::uint32_t mark = 0;
        const rtattr* const value =
            find_inside(find_inside(all, SK_DIAG_BPF_STORAGE, 0), SK_DIAG_BPF_STORAGE_MAP_VALUE, sizeof mark);
        if (!value) return;
        std::memcpy(&mark, RTA_DATA(value), sizeof mark);
        ++counts[mark];
    });
    if (!asked) return asked.error();
    return counts;
}

Result<std::uint32_t> inode_of(int fd) {
    struct stat found {};
    if (::fstat(fd, &found) != 0) return sys_error("asking for a socket's inode", errno);
    return static_cast<std::uint32_t>(found.st_ino);
}

Result<std::uint64_t> dropped(const std::vector<int>& listeners) {
    if (listeners.empty()) return std::uint64_t{0};
    const auto address = address_of(listeners.front());
    if (!address) return address.error();
    if (address->family() == AF_UNIX) return Error{"a unix socket drops nothing: connect(2) fails or waits"};
    std::vector<std::uint32_t> inodes;
    for (const int fd : listeners) {
        const auto inode = inode_of(fd);
        if (!inode) return inode.error();
        inodes.push_back(*inode);
    }
    inet_diag_req_v2 request = internet_request(*address, bit(TCP_LISTEN));
    request.idiag_ext = bit(INET_DIAG_SKMEMINFO - 1);
    std::uint64_t drops = 0;
    const Status asked = each_internet(*address, request, [&](const auto& found, const nlmsghdr& answer) {
        if (std::find(inodes.begin(), inodes.end(), found.idiag_inode) == inodes.end()) return;
        std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
        if (const void* raw = attribute<inet_diag_msg>(answer, INET_DIAG_SKMEMINFO, sizeof memory)) {
            std::memcpy(memory.data(), raw, sizeof memory);
            drops += memory[SK_MEMINFO_DROPS];
        }
    });
    if (!asked) return asked.error();
    return drops;
}

Result<uid_t> owner_of_far_end(int connection) {
    const auto near = address_of(connection);
    if (!near) return near.error();
    const auto far = far_address_of(connection);
    if (!far) return far.error();
    const End client = end_of(*far);
    const End server = end_of(*near);
    inet_diag_req_v2 request{};
    request.sdiag_family = static_cast<std::uint8_t>(client.family);
    request.sdiag_protocol = IPPROTO_TCP;
    request.idiag_states = bit(TCP_ESTABLISHED);
    request.id.idiag_sport = client.port;
    request.id.idiag_dport = server.port;
    std::copy(client.host.begin(), client.host.end(), request.id.idiag_src);
    std::copy(server.host.begin(), server.host.end(), request.id.idiag_dst);
    request.id.idiag_cookie[0] = request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    std::optional<uid_t> owner;
    const Status asked = ask(request, 0, [&](const nlmsghdr& answer) {
        const auto* found = fixed_part<inet_diag_msg>(answer);
        // A socket that nobody holds any more is shown as root's, and has no inode; the kernel writes its
        // owner first, so that one with an inode had its owner still.
        if (found && found->idiag_state == TCP_ESTABLISHED && found->idiag_inode != 0)
            owner = found->idiag_uid;
    });
    if (!asked && asked.error().code != ENOENT) return asked.error();
    if (!owner) return Error{"no process of this machine holds the other end"};
    return *owner;
}

}  // namespace circus::sys
