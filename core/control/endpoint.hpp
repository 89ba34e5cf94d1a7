// Binding a ZMQ endpoint so that only its owner can use it and no other daemon loses its own.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "loop/zmq_pump.hpp"

namespace circus::control {

// ipc: the missing directories are made, 0700. A socket file on which somebody listens is an error (another
// circusd), a stale one is replaced, anything else in its place is an error; two that start at once cannot
// take the place from each other. The new file's mode is 0600, whatever the umask. tcp: as ZMQ binds it.
// With an `owner` the file is that user's, and the directories that are made may be passed through (0711).
// Changes the process's umask for the length of one bind(2).
Status bind_endpoint(loop::ZmqPump& pump, const std::string& endpoint, std::optional<uid_t> owner = {});
// The first part of it alone: the directories of an ipc endpoint, and that nobody else can put something
// there.
Status make_place(const std::string& endpoint, bool passable);
// Makes the file of an ipc endpoint `owner`'s; none: that of the process. Warns when that user cannot reach
// it.
Status own_endpoint(const std::string& endpoint, std::optional<uid_t> owner);
// After the pump of an ipc endpoint is gone: ZMQ leaves the socket's file behind. Nothing for others.
void remove_endpoint(const std::string& endpoint);

}  // namespace circus::control
