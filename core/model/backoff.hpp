// How long a slot waits before its process is replaced. A process that lived at least min_uptime is replaced
// at once and clears the delay; a shorter life doubles it, from 10 ms up to the cap, with jitter. Nothing
// spins, nothing waits needlessly.
#pragma once

#include "base/clock.hpp"

namespace circus::model {

struct BackoffPolicy {
    Duration min_uptime{};
    Duration cap{};
};

// `previous` is what the slot waited last time (zero: nothing), `jitter` is drawn by the caller from [0, 1).
// The result lies within 3/4 and 5/4 of the doubled delay and never above the cap.
Duration next_delay(Duration previous, Duration lived, const BackoffPolicy& policy, double jitter);

}  // namespace circus::model
