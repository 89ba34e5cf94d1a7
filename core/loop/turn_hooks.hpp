// Prepare and Idle: callbacks that belong to the loop's turn and not to an event. Both may be stopped or
// destroyed inside their own callback.
#pragma once

#include <functional>
#include <memory>

#include "loop/loop.hpp"

namespace circus::loop {

// Runs at the end of each turn, before the loop sleeps (Arbiter::settle() and what follows it). What it
// starts (a due timer, an Idle) keeps the loop from sleeping. Several hooks run last made first, so have one
// that calls things in their order. Does not keep run() from returning.
class Prepare {
  public:
    Prepare(Loop& loop, std::function<void()> callback);

  private:
    struct Box;
    struct Close {
        void operator()(Box* box) const noexcept;
    };
    std::unique_ptr<Box, Close> box_;
};

// While started, runs once each turn and keeps the loop from sleeping: for work that goes on in portions.
class Idle {
  public:
    Idle(Loop& loop, std::function<void()> callback);
    void start();
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
