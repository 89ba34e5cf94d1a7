#include "stats/socket_figures.hpp"

#include "sys/connection_counter.hpp"
#include "sys/sock_diag.hpp"

namespace circus::stats {

SocketFigures look_at_socket(const std::vector<int>& listeners, const sys::ConnectionCounter& connections) {
    SocketFigures figures;
    figures.accepted = connections.count();
    if (!figures.accepted) figures.absent["accepted"] = connections.why_absent();
    sys::QueueFigures queues;
    for (const int fd : listeners) {
        const auto queue = sys::accept_queue(fd);
        if (!queue) {
            figures.absent["queue"] = figures.absent["limit"] = queue.error().text;
            break;
        }
        queues.length += queue->length;
        queues.limit += queue->limit;
    }
    if (!figures.absent.contains("queue")) {
        figures.queue = queues.length;
        figures.limit = queues.limit;
    }
    const auto take = [&figures](const char* name, std::optional<std::uint64_t>& to,
                                 const Result<std::uint64_t>& found) {
        if (found)
            to = *found;
        else
            figures.absent[name] = found.error().text;
    };
    take("in_flight", figures.in_flight,
         listeners.empty() ? std::uint64_t{0} : sys::accepted_and_open(listeners.front()));
    take("drops", figures.drops, sys::dropped(listeners));
    return figures;
}

}  // namespace circus::stats
