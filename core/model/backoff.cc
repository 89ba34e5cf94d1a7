#include "model/backoff.hpp"

#include <algorithm>

namespace circus::model {

Duration next_delay(Duration previous, Duration lived, const BackoffPolicy& policy, double jitter) {
    constexpr Duration kFirst = Milliseconds(10);
    if (lived >= policy.min_uptime) return Duration::zero();
    const Duration doubled = std::max(kFirst, previous * 2);
    const auto spread = std::chrono::duration_cast<Duration>(doubled * (0.75 + 0.5 * jitter));
    return std::min(spread, policy.cap);
}

}  // namespace circus::model
