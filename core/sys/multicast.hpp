// A UDP socket in an IPv4 multicast group, for circusd's discovery. Never blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

// Bound to the port on every address, beside others that are in the group; CLOEXEC, O_NONBLOCK.
Result<UniqueFd> join_multicast(const std::string& group, int port);

struct UdpSender {
    std::uint32_t address = 0;  // both in the network's order
    std::uint16_t port = 0;
    bool operator==(const UdpSender&) const = default;
};
// Takes one datagram, whose content nobody asks for. None: there is no further one.
std::optional<UdpSender> take_datagram(int fd);
// What cannot be sent at once is dropped.
void send_datagram(int fd, const UdpSender& to, std::string_view text);

}  // namespace circus::sys
