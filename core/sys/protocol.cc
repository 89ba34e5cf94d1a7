#include "sys/protocol.hpp"

#include <array>
#include <netdb.h>
#include <netinet/in.h>
#include <string>

#include "base/text.hpp"

namespace circus::sys {
namespace {

struct Protocol {
    std::string_view name;
    int number;
};
constexpr std::array kUsual{
    Protocol{"ip", IPPROTO_IP},     Protocol{"icmp", IPPROTO_ICMP},        Protocol{"tcp", IPPROTO_TCP},
    Protocol{"udp", IPPROTO_UDP},   Protocol{"ipv6-icmp", IPPROTO_ICMPV6}, Protocol{"sctp", IPPROTO_SCTP},
    Protocol{"dccp", IPPROTO_DCCP}, Protocol{"udplite", IPPROTO_UDPLITE},  Protocol{"mptcp", IPPROTO_MPTCP},
};

}  // namespace

std::optional<int> find_protocol(std::string_view name_or_number) {
    if (const auto number = parse_int(name_or_number)) {
        if (*number < 0 || *number >= IPPROTO_MAX) return std::nullopt;
        return static_cast<int>(*number);
    }
    for (const auto& [name, number] : kUsual)
        if (equals_ignoring_case(name, name_or_number)) return number;
    std::array<char, 4096> buffer{};
    protoent entry{};
    protoent* found = nullptr;
    const std::string name(name_or_number);
    if (getprotobyname_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
        return std::nullopt;
    return found->p_proto;
}

}  // namespace circus::sys
