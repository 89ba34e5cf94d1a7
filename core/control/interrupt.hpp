// Ctrl-C where it should end what is being waited for, not the program: while a guard lives, SIGINT sets a
// flag and makes a descriptor readable, so that who looks at the flag and then waits for the descriptor too
// misses nothing. Guards may be nested; one thread.
#pragma once

#include <csignal>

namespace circus::control {

class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();  // SIGINT means again what it did before
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

  private:
    struct sigaction before_;
};

bool interrupted();  // since the innermost guard began, or since it was last forgotten
void forget_interrupt();
int interrupt_fd();  // readable while interrupted(); -1: there has been no guard

}  // namespace circus::control
