// $(circus.x) and ((circus.x)) in strings, without case; and $NAME / ${NAME} in env values. An unknown name
// stays as it is.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace circus::config {

// Value of what stands behind "circus.", in lower case ("wid", "sockets.web", "env.home", "numprocesses"), or
// nullopt for an unknown one, which stays in the text and is added to *unknown where that is given.
using Lookup = std::function<std::optional<std::string>(std::string_view name)>;
std::string substitute(std::string_view text, const Lookup& lookup,
                       std::vector<std::string>* unknown = nullptr);

// Lookup of env.NAME alone, what every string of a file may use; `environment` must outlive it.
Lookup environment_lookup(const std::vector<std::string>& environment);

// The argv of worker `wid` after all substitutions: cmd and args split into words, or /bin/sh -c with shell.
// `socket_fd` gives the worker's descriptor number of a socket by name without case, or nullopt.
// With shell, substituted values are quoted by nobody: the text is the user's shell script, as in Circus.
using SocketFd = std::function<std::optional<int>(std::string_view name)>;
// Everything a worker's texts may name: wid, name, env.NAME (the daemon's, else the worker's own),
// sockets.NAME and the watcher's options. `config` and `environment` must outlive it.
Lookup worker_lookup(const WatcherConfig& config, int wid, const SocketFd& socket_fd,
                     const std::vector<std::string>& environment);
// Words are split first and substituted after, so a value with blanks stays one word.
Result<std::vector<std::string>> expand_argv(const WatcherConfig& config, int wid, const SocketFd& socket_fd,
                                             const std::vector<std::string>& environment);
// The argv of a command that is run beside worker `wid` (a stop_command, a hook), made as expand_argv makes
// cmd's; $(circus.pid) is process `pid`, and unknown where that is 0. `option`: how an error calls the text.
Result<std::vector<std::string>> expand_side_command(const WatcherConfig& config, std::string_view option,
                                                     const std::string& text, int wid, pid_t pid,
                                                     const SocketFd& socket_fd,
                                                     const std::vector<std::string>& environment);
// The names, in lower case, of the sockets that cmd, args or env refer to: with use_sockets and none of them
// named, the worker gets every socket.
std::vector<std::string> named_sockets(const WatcherConfig& config);

// The names, in lower case, of the variables of the daemon's environment that the worker's texts (cmd, args,
// shell_args, env, stop_command) refer to, whether or not there are any.
std::vector<std::string> named_variables(const WatcherConfig& config);

// "NAME=value" for worker `wid`: the daemon's own below (with copy_env), config.env above, $NAME and ${NAME}
// expanded from the daemon's environment (unset: empty), $(circus.x) substituted.
std::vector<std::string> expand_env(const WatcherConfig& config, int wid, const SocketFd& socket_fd,
                                    const std::vector<std::string>& environment);

}  // namespace circus::config
