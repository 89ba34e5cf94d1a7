// ConnectionCounter: how many connections were opened to a listening socket, exactly. An eBPF socket filter
// on each of its listeners counts the segments that only ask for one (SYN without ACK) into a map, and lets
// everything pass.
//
// The kernel asks for CAP_BPF (or root), and a seccomp profile may say no: then there is no figure, and
// why_absent() says why. A socket that is accepted inherits its listener's filter, which finds nothing to
// count there. One thread at a time.
//
// Sources: bpf(2), socket(7) SO_ATTACH_BPF, and linux/filter.h for what a socket filter of TCP sees: the
// segment from its TCP header on, the flags in byte 13.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"

namespace circus::sys {

class ConnectionCounter {
  public:
    // Counts on this listener of TCP too, from now on. Its count goes on when the descriptor is closed
    // elsewhere.
    void attach(int listener);
    // nullopt: see why_absent(); what was asked for on one listener and refused makes the sum unknown.
    std::optional<std::uint64_t> count() const;
    const std::string& why_absent() const { return why_absent_; }

  private:
    bool load();

    UniqueFd map_, program_;
    bool refused_ = false;  // once: a sum without one of the listeners would be no count
    std::string why_absent_ = "no listener of TCP";
};

}  // namespace circus::sys
