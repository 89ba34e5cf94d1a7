// Binding a ZMQ endpoint so that only its owner can use it and no other daemon loses its own.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "loop/zmq_pump.hpp"

namespace circus::control {

// ipc: the missing directories are made, 0700, by a way that nobody else has planted a link on
// (sys/trusted_path.hpp). A socket file on which somebody listens is an error (another
// circusd), a stale one is replaced, anything else in its place is an error; two that start at once cannot
// take the place from each other. The new file's mode is 0600, whatever the umask. tcp: as ZMQ binds it.
// With an `owner` the file is that user's, and the directories that are made may be passed through (0711).
// `open_to_all`: anybody may connect, and be asked who he is: 0666, and the same of the directories.
// Changes the process's umask for the length of one bind(2).
Status bind_endpoint(loop::ZmqPump& pump, const std::string& endpoint, std::optional<uid_t> owner = {},
                     bool open_to_all = false);
// The first part of it alone: the directories of an ipc endpoint, and that nobody else can put something
// there.
Status make_place(const std::string& endpoint, bool passable);
// Gives the file of an ipc endpoint its owner (none: the process's user) and its mode. Warns when who is
// meant to come cannot reach it.
Status own_endpoint(const std::string& endpoint, std::optional<uid_t> owner, bool open_to_all = false);
// After the pump of an ipc endpoint is gone: ZMQ leaves the socket's file behind. Nothing for others.
void remove_endpoint(const std::string& endpoint);

}  // namespace circus::control
