// Job: a query that takes more than a moment, answered in portions, one a turn of the loop, so that nobody
// else waits for it. Made by a handler, kept in Context, driven by Controller::work().
#pragma once

#include <functional>

#include "control/reply.hpp"

namespace circus::control {

struct Job {
    Reply reply;
    // Does a portion. True: it was the last, and the reply has its answer.
    std::function<bool()> go_on;
};

// Further ones are done whole, inside the call that brought them: a flood of requests waits in its socket,
// not here.
constexpr std::size_t kMostJobs = 16;

}  // namespace circus::control
