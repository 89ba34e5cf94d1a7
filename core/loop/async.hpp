// Async: the way from another thread to the loop's. Several send() before the loop gets to it are one call.
// It does not keep Loop::run() from returning.
#pragma once

#include <functional>
#include <memory>

#include "loop/loop.hpp"

namespace circus::loop {

class Async {
  public:
    Async(Loop& loop, std::function<void()> callback);

    // From any thread, also from a signal handler. Not once the Async is being destroyed: its owner sees to
    // that (by joining the thread, or by a lock that both take).
    void send();

  private:
    struct Box;
    struct Close {
        void operator()(Box* box) const noexcept;
    };
    std::unique_ptr<Box, Close> box_;
};

}  // namespace circus::loop
