// Into the background. Two processes come out of it: the caller's, which waits and leaves with the exit code
// that tells how the start went, and the daemon's, in a session of its own without a terminal. The daemon
// keeps the caller's standard descriptors until it is ready, because errors belong there, and nothing else of
// what the caller had open.
#pragma once

#include <optional>

#include "base/unique_fd.hpp"

namespace circus::bin {

// Call before any thread exists. A value: this is the caller's process and must exit with it. None: this is
// the daemon's, and a byte written to `ready` sends the caller away with 0; if `ready` is closed without one,
// it waits for the daemon's end and takes over its exit code.
std::optional<int> daemonize(UniqueFd& ready);

// stdin, stdout and stderr are /dev/null from now on.
void detach_standard_descriptors();

}  // namespace circus::bin
