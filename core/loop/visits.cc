#include "loop/visits.hpp"

#include <algorithm>
#include <utility>

namespace circus::loop {

void Visits::came(int fd, sys::Peer peer) {
    // ZMQ does not tell of connections that it ends by itself, with their endpoint.
    left(fd);
    const Ticket at = ++events_;
    open_[fd] = {fd, at, 0, false, std::move(peer)};
    unsure_.push_back(fd);
}

void Visits::left(int fd) {
    auto node = open_.extract(fd);
    if (node.empty()) return;
    Visit& visit = node.mapped();
    visit.left = ++events_;
    if (!visit.sure) return;
    over_.push_back(std::move(visit));
    if (over_.size() > kMostRemembered) over_.pop_front();
}

void Visits::confirm(Ticket ticket) {
    std::erase_if(unsure_, [&](int fd) {
        const auto at = open_.find(fd);
        if (at == open_.end()) return true;
        at->second.sure = at->second.came <= ticket;
        return at->second.sure;
    });
}

const sys::Peer* Visits::find(int fd, Ticket ticket) const {
    const auto at = open_.find(fd);
    if (at != open_.end() && at->second.came <= ticket) return at->second.sure ? &at->second.peer : nullptr;
    const auto was = std::find_if(over_.rbegin(), over_.rend(), [&](const Visit& visit) {
        return visit.fd == fd && visit.came <= ticket && visit.left > ticket;
    });
    return was == over_.rend() ? nullptr : &was->peer;
}

}  // namespace circus::loop
