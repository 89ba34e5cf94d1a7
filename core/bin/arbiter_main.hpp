// The arbiter's process: everything is wired here, nothing is decided here.
#pragma once

#include <string>

namespace circus::bin {

struct ArbiterOptions {
    std::string file;
    // From the command line; empty: what the file says.
    std::string pidfile, loglevel, logoutput;
    bool daemon = false;  // the caller waits for word of the start, then its descriptors are let go
};

// Serves until the stack is stopped; returns the exit code that the keeper was told too. The keeper's end of
// the socketpair must be at keeper::kArbiterFd.
int run_arbiter(const ArbiterOptions& options);

}  // namespace circus::bin
