// Worker: a thread for what may block (a file on NFS, a user's name, a host's address), so that the loop
// never does. Jobs run one after the other in the order they came; the thread starts with the first.
//
// Owned and called on the loop's thread. Leaving never blocks on a job that does: close() gives it a moment,
// then the thread is left alone, and its `then` is dropped when the job returns after all.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/clock.hpp"
#include "loop/inbox.hpp"
#include "loop/loop.hpp"

namespace circus::loop {

class Worker {
  public:
    explicit Worker(Loop& loop);
    ~Worker();  // close(), if it was not
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // `job` runs in the thread and throws nothing; `then` on the loop's thread, after it. What the two share
    // they hold together, and it may be let go in either thread.
    void run(std::function<void()> job, std::function<void()> then);
    // Takes no more jobs, drops those that wait. False: the one under way blocks still, its thread lives on,
    // and the process must end without the destructors of its statics (_exit).
    bool close(Milliseconds patience = Milliseconds(500));

  private:
    struct Shared;
    static void work(const std::shared_ptr<Shared>& shared);

    Inbox inbox_;
    std::shared_ptr<Shared> shared_;
    std::thread thread_;
};

}  // namespace circus::loop
