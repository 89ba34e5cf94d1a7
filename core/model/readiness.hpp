// How often a process that is not ready yet is looked at again: soon at first, because many are ready within
// a moment and a reload waits for it, then each second. Pure.
#pragma once

#include <algorithm>

#include "base/clock.hpp"

namespace circus::model {

inline constexpr Duration kFirstLook = Milliseconds(50);
inline constexpr Duration kLastLook = Milliseconds(1000);

// The pause before the next look, after the one before it; zero: there was none.
constexpr Duration next_look(Duration previous) {
    return previous == Duration::zero() ? kFirstLook : std::min(previous * 2, kLastLook);
}

}  // namespace circus::model
