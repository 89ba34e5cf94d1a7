#include "loop/held_messages.hpp"

#include <algorithm>

namespace circus::loop {

namespace {

constexpr std::size_t kOverhead = 128;  // of a message: its strings and its place in the queue

std::size_t size_of(const HeldMessages::Frames& frames) {
    std::size_t size = kOverhead;
    for (const auto& frame : frames) size += frame.size();
    return size;
}

}  // namespace

bool HeldMessages::hold(const Frames& frames) {
    const std::size_t size = size_of(frames);
    Peer& peer = peers_[frames.front()];
    if (peer.bytes + size > per_peer_) {
        if (peer.messages.empty()) peers_.erase(frames.front());
        return false;
    }
    peer.messages.push_back(frames);
    peer.bytes += size;
    bytes_ += size;
    if (bytes_ <= limit_) return true;
    const auto most = std::max_element(peers_.begin(), peers_.end(), [](const auto& a, const auto& b) {
        return a.second.bytes < b.second.bytes;
    });
    const bool own = &most->second == &peer;
    drop(most);
    if (own) --lost_;  // the caller counts this one
    return !own;
}

void HeldMessages::drop(Peers::iterator peer) {
    lost_ += peer->second.messages.size();
    bytes_ -= peer->second.bytes;
    peers_.erase(peer);
}

bool HeldMessages::offer(const Send& send, std::size_t budget) {
    std::size_t spent = 0;
    for (std::size_t left = peers_.size(); left > 0; --left) {
        auto at = peers_.lower_bound(next_);
        if (at == peers_.end()) at = peers_.begin();
        const std::string name = at->first;
        Peer& peer = at->second;
        Sent sent = Sent::Yes;
        while (!peer.messages.empty()) {
            if (spent >= budget) {
                next_ = name;
                return true;
            }
            sent = send(peer.messages.front());
            if (sent != Sent::Yes) break;
            const std::size_t size = size_of(peer.messages.front());
            peer.messages.pop_front();
            peer.bytes -= size;
            bytes_ -= size;
            spent += size;
        }
        if (sent != Sent::Full) drop(at);
        next_ = name + '\0';
    }
    return false;
}

}  // namespace circus::loop
