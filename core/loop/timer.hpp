// Timer: calls back once after a delay, or again and again. Monotonic: the wall clock does not move it. May
// be restarted, stopped or destroyed inside its own callback.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.hpp"
#include "loop/loop.hpp"

namespace circus::loop {

class Timer {
  public:
    Timer(Loop& loop, std::function<void()> callback);

    // One shot, or each `repeat` after the first. Rounded up to a millisecond, never early; a delay in the
    // past is the next turn. Replaces what was set before.
    void start(Duration delay, Duration repeat = Duration::zero());
    void start_at(TimePoint when) { start(when - Monotonic::now()); }
    void stop();
    bool is_active() const;

  private:
    struct Box;
    struct Close {
        void operator()(Box* box) const noexcept;
    };
    std::unique_ptr<Box, Close> box_;
};

}  // namespace circus::loop
