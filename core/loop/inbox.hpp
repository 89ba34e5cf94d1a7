// Inbox: closures from other threads, run on the loop's thread in the order they came. Owned on the loop's
// thread; the threads that post hold its Sender. What was not run when the Inbox goes is dropped, on the
// loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "loop/async.hpp"
#include "loop/loop.hpp"

namespace circus::loop {

class Inbox {
    struct Shared;

  public:
    // Copyable; valid in any thread for as long as it is held, also after the Inbox is gone.
    class Sender {
      public:
        // Run `task` on the loop's thread. False: the Inbox is gone, the task was dropped here.
        bool post(std::function<void()> task) const;

      private:
        friend class Inbox;
        explicit Sender(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
        std::shared_ptr<Shared> shared_;
    };

    explicit Inbox(Loop& loop);
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    Sender sender() const { return Sender(shared_); }

  private:
    static void deliver(const std::shared_ptr<Shared>& shared);

    std::shared_ptr<Shared> shared_;
};

}  // namespace circus::loop
