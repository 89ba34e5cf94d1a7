// The keeper's end of the socketpair. Never waits, in neither direction; allocates nothing. The keeper says
// when it can be used again (poll) and keeps what could not be sent.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/unique_fd.hpp"
#include "keeper/wire.hpp"

namespace circus::keeper {

// One datagram. Valid until the next receive(); owns its descriptors until then.
struct Incoming {
    std::span<std::byte> bytes;  // 8-byte aligned
    std::array<UniqueFd, kMaxFdsPerMessage> fds;
    std::size_t fd_count = 0;
    bool is_cut = false;    // larger than kMaxDatagram
    bool lost_fds = false;  // the kernel could not give us all descriptors: our table is full, or too many
};

class Channel {
  public:
    enum class Sent {
        Yes,
        Full,
        Later,
        Gone
    };  // Full: wait for POLLOUT. Later: that would not tell; by time
    enum class Received { Message, Nothing, Gone };

    explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}
    int fd() const { return socket_.get(); }
    void close() { socket_.reset(); }
    // With these descriptors, kMaxFdsSent at the most; they stay the caller's.
    static constexpr std::size_t kMaxFdsSent = 2;
    Sent send(const void* data, std::size_t size, std::span<const int> fds = {});
    Received receive(Incoming& in);

  private:
    UniqueFd socket_;
};

// A socketpair as keeper and arbiter want it, buffers as large as allowed. False: errno says why.
bool make_channel(UniqueFd& keeper_end, UniqueFd& arbiter_end);

}  // namespace circus::keeper
