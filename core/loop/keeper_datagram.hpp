// One request to the keeper as the kernel takes it: bytes, and descriptors by SCM_RIGHTS. Used by
// KeeperClient only.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"

namespace circus::loop {

// A sealed memfd with these bytes, or empty with errno set.
UniqueFd sealed_memfd(std::span<const std::byte> bytes);

// Short: of memory or of descriptors in flight; only time helps. Refused: errno says why.
enum class Sent { Yes, Full, Short, PeerGone, Refused };

// Without waiting. The descriptors (kMaxFdsPerMessage at the most) are borrowed.
Sent send_datagram(int socket, const std::vector<std::byte>& data, const int* fds, std::size_t fd_count);

}  // namespace circus::loop
