#include "stream/queue_sink.hpp"

#include "stream/lines.hpp"

namespace circus::stream {

void QueueSink::write(PipeId owner, std::string_view first, std::string_view second, bool) {
    const auto at = pids_.find(owner);
    const pid_t pid = at == pids_.end() ? 0 : at->second;
    const double time = SystemClock().wall();
    each_text(first, second, [&](std::string_view text) { ring_->append(pid, time, text); });
}

}  // namespace circus::stream
