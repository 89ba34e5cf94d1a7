// From a watcher's configuration to a SpawnRequest for one worker: argv and env with everything substituted,
// the paths to try, descriptors, limits, identity. Pure but for the look at the daemon's own ids.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "keeper/spawn_request.hpp"
#include "supervise/hook_calls.hpp"
#include "supervise/identity.hpp"
#include "supervise/stack.hpp"

namespace circus::supervise {

// Everything but the streams' pipes and the sockets' descriptors. An error names the watcher and what is
// wrong.
Result<keeper::SpawnRequest> make_request(const config::WatcherConfig& config, const Identity& identity,
                                          model::Wid wid, ChildId id, const Stack& stack);

// The stop_command for process `pid` of worker `wid`: the worker's ids, limits, directory and environment,
// and CIRCUS_PID; no sockets.
Result<keeper::SpawnRequest> make_stop_request(const config::WatcherConfig& config, const Identity& identity,
                                               model::Wid wid, pid_t pid, ChildId id, const Stack& stack);

// A hook that is a command: the same surroundings, and CIRCUS_HOOK, CIRCUS_WATCHER and what the point knows.
Result<keeper::SpawnRequest> make_hook_request(const config::WatcherConfig& config, const Identity& identity,
                                               const std::string& command, const HookFacts& facts, ChildId id,
                                               const Stack& stack);

// What looks whether process `pid` of worker `wid` is ready: the same surroundings, CIRCUS_WATCHER,
// CIRCUS_WID and CIRCUS_PID. What it prints goes nowhere: it is run again and again.
Result<keeper::SpawnRequest> make_ready_request(const config::WatcherConfig& config, const Identity& identity,
                                                const std::string& command, model::Wid wid, pid_t pid,
                                                ChildId id, const Stack& stack);

// A text with everything substituted that is known of worker `wid`.
std::string fill_in(const config::WatcherConfig& config, const std::string& text, model::Wid wid,
                    const Stack& stack);

// An entry of an environment, in the place of the one that is there.
void set_variable(std::vector<std::string>& environment, std::string_view name, std::string_view value);

// The stream of that worker: its name is filled in.
config::StreamConfig stream_of(const config::StreamConfig& config, model::Wid wid);

// The outputs of one worker, or of what runs beside it, as pipes: they are added to the request, and their
// ids to `pipes`, also when one could not be opened. `write_ends` must live until the request is on its way.
Status open_streams(const config::WatcherConfig& config, model::Wid wid, const Stack& stack,
                    keeper::SpawnRequest& request, std::vector<PipeId>& pipes,
                    std::vector<UniqueFd>& write_ends);

// The sockets that worker gets: with use_sockets those it names in cmd, args or env, or all when it names
// none, then numbered from 3 in the order of the configuration; and stdin_socket as descriptor 0. Adds
// LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID (sd_listen_fds(3)) where the descriptors run on from 3 without a
// gap.
Status add_sockets(const config::WatcherConfig& config, model::Wid wid, Stack& stack,
                   keeper::SpawnRequest& request);

// Those of them that are not stdin_socket.
std::vector<const SocketTable::Socket*> inherited_sockets(const config::WatcherConfig& config,
                                                          const SocketTable& table);

// The descriptors on which something for this watcher may come in, its slots' own listeners included.
Result<std::vector<int>> awaited_listeners(const config::WatcherConfig& config, SocketTable& table);

// Where execvp(3) would look for `program`, given the child's PATH: full paths in order. One with a slash is
// taken as it is.
std::vector<std::string> path_candidates(const std::string& program, const std::string& path);

}  // namespace circus::supervise
