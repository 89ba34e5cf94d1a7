#include "stream/queue_sink.hpp"

#include <string>

namespace circus::stream {

void QueueSink::write(PipeId owner, std::string_view first, std::string_view second, bool) {
    const auto at = pids_.find(owner);
    const pid_t pid = at == pids_.end() ? 0 : at->second;
    const double time = SystemClock().wall();
    if (first.empty()) return ring_->append(pid, time, second);
    // A line that came in two pieces is one line.
    std::string joined(first);
    const std::size_t end = second.find('\n');
    joined += second.substr(0, end == second.npos ? end : end + 1);
    ring_->append(pid, time, joined);
    if (end != second.npos) ring_->append(pid, time, second.substr(end + 1));
}

}  // namespace circus::stream
