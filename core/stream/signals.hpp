// AllSignalsBlocked: for the time of making a thread, which inherits the mask. A worker thread takes no
// signal: a closed pipe is then EPIPE, and a file-size limit EFBIG, whatever the daemon does with SIGPIPE and
// SIGXFSZ.
#pragma once

#include <csignal>

namespace circus::stream {

class AllSignalsBlocked {
  public:
    AllSignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

  private:
    sigset_t before_{};
};

}  // namespace circus::stream
