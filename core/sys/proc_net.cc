#include "sys/proc_net.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>

#include "base/text.hpp"

namespace circus::sys {

namespace {

// "0100007F:1F90", as the kernel writes an address: each word of it in the machine's order.
template <std::size_t N>
std::string hex_of(const std::array<std::uint32_t, N>& words, in_port_t port) {
    std::string text;
    char word[12];
    for (const std::uint32_t each : words) {
        std::snprintf(word, sizeof word, "%08X", each);
        text += word;
    }
    std::snprintf(word, sizeof word, ":%04X", ntohs(port));
    return text + word;
}

// An end of a connection as either table has it; empty: that one cannot have it.
struct Written {
    std::string tcp, tcp6;
};

Written written(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET) {
        const auto& in = reinterpret_cast<const sockaddr_in&>(address);
        const std::uint32_t host = in.sin_addr.s_addr;
        return {hex_of<1>({host}, in.sin_port), hex_of<4>({0, 0, htonl(0xffff), host}, in.sin_port)};
    }
    if (address.ss_family != AF_INET6) return {};
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address);
    std::array<std::uint32_t, 4> words{};
    std::memcpy(words.data(), &in6.sin6_addr, sizeof words);
    Written out{{}, hex_of(words, in6.sin6_port)};
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) out.tcp = hex_of<1>({words[3]}, in6.sin6_port);
    return out;
}

struct Connected {
    char near[48], far[48];
    unsigned state = 0, uid = 0;
    unsigned long inode = 0;
};

std::optional<Connected> parse_connected(const char* line) {
    Connected row;
    const int found = std::sscanf(line, "%*s %47s %47s %x %*s %*s %*s %u %*s %lu", row.near, row.far,
                                  &row.state, &row.uid, &row.inode);
    return found == 5 ? std::optional(row) : std::nullopt;
}

std::optional<uid_t> owner_in(const char* table, const std::string& near, const std::string& far) {
    constexpr unsigned kEstablished = 1;
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(table, "re"), std::fclose);
    char line[512];
    while (file && std::fgets(line, sizeof line, file.get())) {
        const auto row = parse_connected(line);
        // Without an inode nobody holds it any more, and it is shown as root's.
        if (row && row->state == kEstablished && row->inode != 0 && near == row->near && far == row->far)
            return row->uid;
    }
    return std::nullopt;
}

}  // namespace

Result<uid_t> owner_of_far_end_by_proc(int connection) {
    sockaddr_storage here{}, there{};
    socklen_t here_size = sizeof here, there_size = sizeof there;
    if (::getsockname(connection, reinterpret_cast<sockaddr*>(&here), &here_size) != 0 ||
        ::getpeername(connection, reinterpret_cast<sockaddr*>(&there), &there_size) != 0)
        return sys_error("asking for the addresses of a connection", errno);
    // What is far from here is near to the other end.
    const Written near = written(there), far = written(here);
    for (const auto& [table, end] :
         {std::pair("/proc/self/net/tcp", &Written::tcp), std::pair("/proc/self/net/tcp6", &Written::tcp6)})
        if (const auto uid = owner_in(table, near.*end, far.*end)) return *uid;
    return Error{"no process of this machine holds the other end"};
}

}  // namespace circus::sys
