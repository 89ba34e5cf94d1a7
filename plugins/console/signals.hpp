// AllBlocked: while it lives this thread takes no signal, and neither does a thread that it makes. Threads
// begin with their maker's mask, and signals are the loop's.
#pragma once

#include <csignal>

namespace console {

class AllBlocked {
  public:
    AllBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~AllBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllBlocked(const AllBlocked&) = delete;
    AllBlocked& operator=(const AllBlocked&) = delete;

  private:
    sigset_t before_{};
};

}  // namespace console
