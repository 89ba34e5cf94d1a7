// circus/threads.hpp: threads of a plugin's own.
//
// The kernel gives a signal of a process to any thread that does not block it. A plugin's process is not its
// own: what is done about signals is decided by circusd, or by circus-plugin where the plugin is isolated,
// whose loop's thread is meant to take them. So a plugin's threads have all signals blocked, from the first
// instruction on: a thread begins with the mask of the one that makes it.
//
//     {
//         const circus::SignalsBlocked guard;
//         thread_ = std::thread([this] { run(); });
//     }
//
// The same holds for the threads of libraries: what starts them is made under a guard, too. To a thread that
// blocks SIGPIPE a closed connection is EPIPE, and to one that blocks SIGXFSZ a file that may not grow is
// EFBIG, whatever the process does about them.
#pragma once

#include <csignal>

namespace circus {

// While it lives the calling thread takes no signal, and a thread that is made meanwhile never does, unless
// it changes its mask itself. Then the mask is what it was before. It ends on the thread that it began on; of
// two, the later one ends first.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_{};
};

}  // namespace circus
