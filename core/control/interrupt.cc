#include "control/interrupt.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace circus::control {

namespace {

volatile std::sig_atomic_t g_interrupted = 0;
int g_pipe[2] = {-1, -1};  // made by the first guard and kept: the handler needs both ends

void on_interrupt(int) {
    const int error = errno;
    g_interrupted = 1;
    // A full pipe is readable already.
    [[maybe_unused]] const ssize_t written = ::write(g_pipe[1], "", 1);
    errno = error;
}

}  // namespace

InterruptGuard::InterruptGuard() : before_() {
    if (g_pipe[0] < 0 && ::pipe2(g_pipe, O_CLOEXEC | O_NONBLOCK) != 0) g_pipe[0] = g_pipe[1] = -1;
    forget_interrupt();
    struct sigaction action {};
    action.sa_handler = on_interrupt;  // no SA_RESTART: what waits without the descriptor should wake up
    ::sigaction(SIGINT, &action, &before_);
}

InterruptGuard::~InterruptGuard() {
    ::sigaction(SIGINT, &before_, nullptr);
}

bool interrupted() {
    return g_interrupted != 0;
}

void forget_interrupt() {
    // In this order: one that comes in between leaves the flag, which is looked at before any wait.
    g_interrupted = 0;
    char drained[64];
    while (g_pipe[0] >= 0 && ::read(g_pipe[0], drained, sizeof drained) > 0) continue;
}

int interrupt_fd() {
    return g_pipe[0];
}

}  // namespace circus::control
