#include "loop/turn_clock.hpp"

#include <algorithm>

#include <uv.h>

namespace circus::loop {

// What libuv does to tell idle time is one look without waiting before each wait.
TurnClock::TurnClock(Loop& loop) : loop_(loop), ended_(Monotonic::now()) {
    uv_loop_configure(loop_.native(), UV_METRICS_IDLE_TIME);
}

void TurnClock::end_turn() {
    const TimePoint now = Monotonic::now();
    const Duration slept = std::chrono::nanoseconds(uv_metrics_idle_time(loop_.native()));
    count(std::max(now - ended_ - (slept - slept_), Duration::zero()));
    ended_ = now;
    slept_ = slept;
}

void TurnClock::count(Duration turn) {
    const double seconds = to_seconds(turn);
    const auto& bounds = TurnFigures::kBounds;
    const auto at = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
    ++figures_.turns[static_cast<std::size_t>(at)];
    figures_.busy += turn;
}

}  // namespace circus::loop
