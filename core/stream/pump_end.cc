#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "stream/pump.hpp"

namespace circus::stream {

// Takes what is in the pipes at this moment; waits for slow sinks until the deadline.
bool Pump::drain_everything(TimePoint deadline) {
    bool all_written = true;
    for (;;) {
        const TimePoint now = Monotonic::now();
        const bool late = now >= deadline;
        std::vector<PipeId> done;
        for (auto& [id, pipe] : pipes_) {
            if (!late && !pipe->may_be_read()) continue;
            read_rest(*pipe);
            flush(*pipe);
            done.push_back(id);
        }
        for (const PipeId id : done) pipes_.erase(id);
        bool all_empty = true;
        for (auto& [name, sink] : sinks_) {
            stop_polling(*sink);
            resume(*sink, now);
            poll_sink(*sink);
            if (!sink->is_empty()) all_empty = false;
        }
        if (pipes_.empty() && (all_empty || late)) break;
        epoll_event event;
        epoll_wait(epoll_.get(), &event, 1, 5);
        eventfd_t count = 0;
        eventfd_read(wake_.get(), &count);
    }
    for (auto& [name, sink] : sinks_) {
        if (!sink->is_empty()) all_written = false;
        sink->give_up();
    }
    return all_written;
}

}  // namespace circus::stream
