// The keeper: the small, single-threaded process that is the parent of everything and has no policy. See
// docs/architecture.md, "Two processes". Driven by two things only: datagrams of the arbiter and signals.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace circus::keeper {

struct KeeperOptions {
    // The first arbiter, in a process of its own that is a copy of this one: its exit code. Linking the
    // program's libraries once more took 10 to 40 ms of the start.
    std::function<int()> first_arbiter;
    // The command line of those that follow it; argv[0] is run through /proc/self/exe.
    std::vector<std::string> arbiter_argv;
    // The deadline of a stack that the keeper must stop by itself, in seconds: stop_timeout's default.
    double stop_timeout = 60;
    UniqueFd ready = {};          // of a daemon: see ServiceOptions
    char* const* argv = nullptr;  // this process's own, for the binary that an upgrade puts in its place
    int resume = -1;              // this is that binary: what the one before has written down
};

// Becomes a subreaper, starts the arbiter, serves it until it is told to Exit or the arbiter is gone, leaves
// nothing behind, and returns the exit code of circusd. In the process of the first arbiter it returns that
// one's. Call it from main(), before any thread exists, and return what it returns.
int run_keeper(KeeperOptions options);

}  // namespace circus::keeper
