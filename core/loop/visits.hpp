// Visits: which connection of a listening socket had which descriptor when, and who was at its other end. A
// pure table, in the order of the events that it is told; Doorman drives it.
//
// A descriptor is used again as soon as its connection is over, and a message may be read long after. So a
// connection is not known by its descriptor but by the descriptor and a *ticket*: the number of events there
// had been when the connection, which was open then, was let in. Connections on one descriptor do not
// overlap, so the two together name one.
//
// Who is at the other end is looked up when an event tells of the connection, and by then it may be over and
// its descriptor another's. What was found counts once confirm() has been told that the connection was still
// open after the look.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "sys/peer.hpp"

namespace circus::loop {

class Visits {
  public:
    using Ticket = std::uint64_t;  // 0: none

    void came(int fd, sys::Peer peer);
    void left(int fd);
    // What happened so far; every connection that is open and of an earlier event has it.
    Ticket now() const { return events_; }
    // Those of events up to `ticket` that have not left were open when they were looked at.
    void confirm(Ticket ticket);
    // Null: there is no such connection, it is not known for sure, or it is over for long.
    const sys::Peer* find(int fd, Ticket ticket) const;

  private:
    struct Visit {
        int fd = -1;
        Ticket came = 0, left = 0;  // 0: it is open
        bool sure = false;
        sys::Peer peer;
    };
    // Messages of a connection that is over are read soon, or were too many to be worth it.
    static constexpr std::size_t kMostRemembered = 1024;

    Ticket events_ = 0;
    std::map<int, Visit> open_;
    std::vector<int> unsure_;  // descriptors of open_ that are not sure, or were
    std::deque<Visit> over_;   // that were sure, in the order in which they ended
};

}  // namespace circus::loop
