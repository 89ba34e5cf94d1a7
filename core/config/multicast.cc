#include "config/multicast.hpp"

#include <arpa/inet.h>

#include "base/text.hpp"

namespace circus::config {

Result<MulticastGroup> parse_multicast(std::string_view written) {
    constexpr std::string_view kUdpScheme = "udp://";
    const auto colon = written.rfind(':');
    if (!written.starts_with(kUdpScheme) || colon < kUdpScheme.size())
        return Error{cat("must be udp://GROUP:PORT, like ", kUsualMulticast)};
    MulticastGroup group;
    group.address = written.substr(kUdpScheme.size(), colon - kUdpScheme.size());
    in_addr address{};
    if (::inet_pton(AF_INET, group.address.c_str(), &address) != 1 || !IN_MULTICAST(ntohl(address.s_addr)))
        return Error{"the group must be an address from 224.0.0.0 to 239.255.255.255"};
    const auto port = parse_int(written.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) return Error{"the port must be 1 to 65535"};
    group.port = static_cast<int>(*port);
    return group;
}

}  // namespace circus::config
