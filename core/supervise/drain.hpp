// Who of the processes that are too many may go without a request being lost: DrainPort, and SocketDrain,
// which asks the kernel. Workers hold connections by their descriptors; what is in hand is seen there,
// whatever the program is and whether or not it knows how to stop gracefully. All of it are a few system
// calls that wait for nothing.
#pragma once

#include <sys/types.h>
#include <vector>

#include "supervise/sockets.hpp"

namespace circus::supervise {

class DrainPort {
  public:
    virtual ~DrainPort() = default;
    // A connection in hand, of it or of a descendant, or one that is queued on a listener of its own. What
    // cannot be found out counts as work.
    virtual bool has_work(pid_t pid, const std::vector<SocketTable::Held>& sockets) = 0;
    // A connection that is queued on a listener of its own.
    virtual bool has_queued(const std::vector<SocketTable::Held>& sockets) = 0;
    // SIGSTOP; false: it has children, which would go on, or it is gone. It stands still some time later.
    virtual bool freeze(pid_t pid, int pidfd) = 0;
    virtual bool stands_still(pid_t pid) = 0;
};

class SocketDrain final : public DrainPort {
  public:
    bool has_work(pid_t pid, const std::vector<SocketTable::Held>& sockets) override;
    bool has_queued(const std::vector<SocketTable::Held>& sockets) override;
    bool freeze(pid_t pid, int pidfd) override;
    bool stands_still(pid_t pid) override;
};

}  // namespace circus::supervise
