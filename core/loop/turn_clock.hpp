// TurnClock: how long the turns of a loop take, without the time in which it slept: what everybody else who
// waits for the loop has to wait. Counted in classes, since it was made; whoever wants to know reads them at
// any time. The loop's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"
#include "loop/loop.hpp"

namespace circus::loop {

struct TurnFigures {
    // Upper bounds, in seconds; the last class is of all that took longer.
    static constexpr std::array kBounds{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0};
    std::array<std::uint64_t, kBounds.size() + 1> turns{};
    Duration busy{};
};

class TurnClock {
  public:
    // Before the loop runs.
    explicit TurnClock(Loop& loop);
    // A turn is over: the last thing that the loop does before it sleeps.
    void end_turn();
    const TurnFigures& figures() const { return figures_; }
    // The same by hand.
    void count(Duration turn);

  private:
    Loop& loop_;
    TimePoint ended_;
    Duration slept_{};
    TurnFigures figures_;
};

}  // namespace circus::loop
