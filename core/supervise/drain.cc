#include "supervise/drain.hpp"

#include <algorithm>
#include <csignal>

#include "sys/idle.hpp"
#include "sys/pidfd.hpp"
#include "sys/procfs.hpp"
#include "sys/sock_diag.hpp"

namespace circus::supervise {

bool SocketDrain::has_work(pid_t pid, const std::vector<SocketTable::Held>& sockets) {
    if (has_queued(sockets)) return true;
    std::set<std::uint32_t> inodes;
    for (const auto& socket : sockets) {
        if (!socket.has_connections) continue;
        auto accepted = sys::accepted_inodes(socket.fd);
        if (!accepted) return true;
        inodes.merge(*accepted);
    }
    return sys::holds_any(pid, inodes);
}

bool SocketDrain::has_queued(const std::vector<SocketTable::Held>& sockets) {
    return std::any_of(sockets.begin(), sockets.end(), [](const auto& socket) {
        if (!socket.is_own || !socket.has_connections) return false;
        const auto queue = sys::accept_queue(socket.fd);
        return !queue || queue->length > 0;
    });
}

bool SocketDrain::freeze(pid_t pid, int pidfd) {
    return pidfd >= 0 && sys::descendants_of(pid).empty() && sys::signal_pidfd(pidfd, SIGSTOP) == 0;
}

bool SocketDrain::stands_still(pid_t pid) {
    return sys::stands_still(pid);
}

}  // namespace circus::supervise
