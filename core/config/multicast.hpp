// [circus] multicast_endpoint, read: "udp://GROUP:PORT", a group of IPv4 multicast.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace circus::config {

struct MulticastGroup {
    std::string address;  // 224.0.0.0 to 239.255.255.255
    int port = 0;
};

// What Circus shows, and its tools ask, where nothing else is said.
inline constexpr std::string_view kUsualMulticast = "udp://237.219.251.97:12027";

// The error stands behind "multicast_endpoint = …: ".
Result<MulticastGroup> parse_multicast(std::string_view written);

}  // namespace circus::config
