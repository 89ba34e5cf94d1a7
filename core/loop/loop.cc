#include "loop/loop.hpp"

#include <cassert>
#include <cstdlib>

#include <uv.h>

#include "base/log.hpp"

namespace circus::loop {

Loop::Loop() : loop_(std::make_unique<uv_loop_s>()) {
    // Fails only without memory or descriptors, at the very start: there is nothing to fall back on.
    if (uv_loop_init(loop_.get()) != 0) std::abort();
}

Loop::~Loop() {
    if (close()) return;
    log::error("loop: a handle outlived the loop");
    assert(false && "a handle outlived the loop");
    // Its destructor will still write to the uv_loop_t.
    static_cast<void>(loop_.release());
}

void Loop::run() {
    uv_run(loop_.get(), UV_RUN_DEFAULT);
}

void Loop::run_once(bool wait) {
    uv_run(loop_.get(), wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void Loop::stop() {
    uv_stop(loop_.get());
}

bool Loop::close() {
    if (closed_) return true;
    // Close callbacks of handles destroyed in the last turn are due in one turn; a box whose callback owns
    // another handle closes that one in the turn after.
    constexpr int kTurns = 16;
    for (int turn = 0; turn < kTurns && !closed_; ++turn) {
        closed_ = uv_loop_close(loop_.get()) == 0;
        if (!closed_) uv_run(loop_.get(), UV_RUN_NOWAIT);
    }
    return closed_;
}

}  // namespace circus::loop
