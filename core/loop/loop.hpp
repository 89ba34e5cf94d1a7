// Loop: the one event loop of the arbiter, over libuv. Everything in core/loop except Async::send() and
// Inbox::post() belongs to the thread that calls run().
//
// A turn of it goes: due timers, Idle hooks, Prepare hooks, wait for I/O, I/O callbacks. So a Prepare hook
// runs after everything that happened since the loop last slept and before it sleeps again: it is the end of
// the turn.
//
// Ownership: a libuv handle's memory may be reused only in its close callback. Each handle class here
// therefore keeps handle and callback in a heap box that its destructor gives to libuv and that the close
// callback frees; any of them may be destroyed inside its own callback. Invariants: every handle is destroyed
// before its Loop; callbacks do not throw (an exception ends the program).
#pragma once

#include <memory>

#include "base/clock.hpp"

struct uv_loop_s;

namespace circus::loop {

class Loop {
  public:
    Loop();
    ~Loop();  // close(); a handle that is still alive is our bug: logged, asserted, its memory left alone
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Serves until stop(), or until nothing is left that could happen.
    void run();
    // One turn, sleeping at most until the next timer; `wait` false: without sleeping.
    void run_once(bool wait = true);
    // run() returns at the end of this turn. Loop thread only.
    void stop();
    // The monotonic clock, read anew at each call: not the loop's cached time.
    TimePoint now() const { return Monotonic::now(); }

    // Lets closed handles go and closes the loop. False: a handle is still alive.
    bool close();

    uv_loop_s* native() const { return loop_.get(); }  // for core/loop only

  private:
    std::unique_ptr<uv_loop_s> loop_;
    bool closed_ = false;
};

}  // namespace circus::loop
