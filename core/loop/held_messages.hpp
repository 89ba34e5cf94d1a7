// HeldMessages: what a ROUTER could not send because a peer's queue was full, in order, for when that peer
// has read. Passive: ZmqPump holds, and offers it all again whenever a queue may have room.
//
// Invariants: a peer is here while it has a message here, and then nothing may be sent to it past them. No
// peer holds more than its limit, all of them not more than theirs: then who holds the most loses what it has
// here, so that one who never reads leaves room to all others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace circus::loop {

class HeldMessages {
  public:
    using Frames = std::vector<std::string>;  // the first names the peer
    enum class Sent { Yes, Full, Gone };
    using Send = std::function<Sent(const Frames&)>;

    HeldMessages(std::size_t bytes_per_peer, std::size_t bytes) : per_peer_(bytes_per_peer), limit_(bytes) {}

    bool is_empty() const { return peers_.empty(); }
    bool has(const std::string& peer) const { return peers_.contains(peer); }
    std::size_t bytes() const { return bytes_; }
    std::uint64_t lost() const { return lost_; }  // that were held, of peers that left or had too much

    // False: it would be too much, and the message is lost.
    bool hold(const Frames& frames);
    // Offers each peer's messages until its queue is full again or it is gone, `budget` bytes in all. True:
    // there may be more to send at once.
    bool offer(const Send& send, std::size_t budget);

  private:
    struct Peer {
        std::deque<Frames> messages;
        std::size_t bytes = 0;
    };
    using Peers = std::map<std::string, Peer>;
    void drop(Peers::iterator peer);

    Peers peers_;
    std::string next_;  // the peer that the next offer() begins with
    std::size_t bytes_ = 0;
    std::size_t per_peer_;
    std::size_t limit_;
    std::uint64_t lost_ = 0;
};

}  // namespace circus::loop
