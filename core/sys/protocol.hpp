// Protocols of internet sockets by name.
#pragma once

#include <optional>
#include <string_view>

namespace circus::sys {

// The number of a protocol: "tcp", "icmp", "47". The usual names are known without protocols(5), which a
// small container may not have.
std::optional<int> find_protocol(std::string_view name_or_number);

}  // namespace circus::sys
