// What a managed socket is doing, each figure exact or absent with the reason. Read when asked for; nothing
// is remembered. The names are those of the gauges and of `listsockets` with `figures`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace circus::sys {
class ConnectionCounter;
}

namespace circus::stats {

struct SocketFigures {
    std::optional<std::uint64_t> queue;         // connections that wait to be accepted, of all listeners
    std::optional<std::uint64_t> limit;         // of the queue
    std::optional<std::uint64_t> in_flight;     // accepted and established
    std::optional<std::uint64_t> accepted;      // connections since the socket was bound
    std::optional<std::uint64_t> drops;         // connections that found the queue full
    std::map<std::string, std::string> absent;  // figure -> why there is none
};

// `listeners`: descriptors of one address, none where no slot has made its listener yet.
SocketFigures look_at_socket(const std::vector<int>& listeners, const sys::ConnectionCounter& connections);

}  // namespace circus::stats
