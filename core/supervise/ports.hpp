// What supervise needs of the world, as interfaces it owns. The product implements them with core/loop,
// core/stream and core/bus (wired in core/bin); tests with fakes and a clock turned by hand, so that all of
// supervise runs without one real process. No port ever calls back from inside a call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <vector>

#include "base/json.hpp"
#include "base/pattern.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"
#include "config/load.hpp"
#include "config/probe_address.hpp"
#include "keeper/spawn_request.hpp"
#include "keeper/wire.hpp"
#include "stream/tail.hpp"

namespace circus::supervise {

using keeper::ChildId;
using keeper::HoldId;

// To the keeper. Nothing here fails: an answer comes later as Arbiter::on_spawned/on_spawn_failed/on_exited.
class KeeperPort {
  public:
    virtual ~KeeperPort() = default;
    virtual void spawn(ChildId id, const keeper::SpawnRequest& request) = 0;
    virtual void signal(ChildId id, int signo, keeper::Scope scope, pid_t pid, bool stopping) = 0;
    virtual void hold(HoldId id, std::string_view name, int fd) = 0;
    virtual void drop(HoldId id) = 0;
    // What the next arbiter is to know (saved_state.hpp), in the place of what was saved before.
    virtual void save(const std::string&) {}
};

enum class StreamKind { Stdout, Stderr };
using PipeId = std::uint64_t;

// A pipe that the arbiter before read, and nobody does now.
struct InheritedPipe {
    PipeId id = 0;
    StreamKind kind{};
    int wid = 0;
    std::string watcher;
};

// To the streams. A pipe lives from open() or adopt() to the end of finish() or discard().
class StreamPort {
  public:
    struct Pipe {
        PipeId id = 0;
        UniqueFd write_end;  // for the child; close it once the request is on its way
    };
    virtual ~StreamPort() = default;
    // A pipe whose lines go where `config` says (substituted for this worker already). Sinks are shared by
    // everything that writes to the same file.
    virtual Result<Pipe> open(const config::StreamConfig& config, std::string_view watcher, int wid,
                              StreamKind kind) = 0;
    // `found` is called once, when a line of it matches; before start().
    virtual void watch(PipeId id, Pattern pattern, std::function<void()> found) = 0;
    // Those that were not adopted or discarded yet.
    virtual std::vector<InheritedPipe> inherited() const { return {}; }
    virtual std::optional<StreamKind> inherited_kind(PipeId) const { return std::nullopt; }
    virtual Status adopt(PipeId, const config::StreamConfig&) { return Error{"there is no such pipe"}; }
    virtual void start(PipeId id, pid_t pid) = 0;  // the process runs: begin to read
    // The process was reaped: read on to EOF, 100 ms at the most (a grandchild may hold the pipe), then
    // `drained`, which gets the last that came of it if it is a stderr.
    using Drained = std::function<void(const std::optional<std::string>& last)>;
    virtual void finish(PipeId id, Drained drained) = 0;
    virtual void discard(PipeId id) = 0;  // the spawn failed
    virtual void reopen_files() = 0;      // USR1, HUP
    // The last lines that are kept in memory of a watcher's output; nothing: none are.
    virtual std::optional<stream::Tail> tail(std::string_view watcher, StreamKind kind,
                                             const stream::TailQuery& query) const = 0;
    virtual void forget(std::string_view watcher) = 0;  // it was removed: so is what was kept
};

// Whether listening sockets have something, without taking it: what is there is the workers'. Each descriptor
// that is watched is told once, as Arbiter::on_readable, and then no more until it is watched again.
class ReadinessPort {
  public:
    virtual ~ReadinessPort() = default;
    virtual Status watch(int fd) = 0;  // the descriptor outlives the watch
    virtual void forget(int fd) = 0;   // also of one that is not watched
};

// Whether somebody answers at an address. One look; what came of it is told as Arbiter::on_looked, by its own
// deadline of a few seconds at the latest.
class ProbePort {
  public:
    virtual ~ProbePort() = default;
    virtual void look(ChildId id, const config::ProbeAddress& at) = 0;
    virtual void drop(ChildId id) = 0;  // nobody wants to know any more; also of one that is not under way
};

// The socket of sd_notify(3). Who says READY=1 there is told as Arbiter::on_notified.
class NotifyPort {
  public:
    virtual ~NotifyPort() = default;
    virtual Result<std::string> address() = 0;  // NOTIFY_SOCKET of a worker; made when first asked for
};

// To a thread for what may block. `job` runs in it, `then` on the loop's thread after it, neither inside
// run(). What the two share they hold together.
class WorkerPort {
  public:
    virtual ~WorkerPort() = default;
    virtual void run(std::function<void()> job, std::function<void()> then) = 0;
};

// To circusd itself, for a change of the configuration: where it is read from, and what [circus] sets.
class DaemonPort {
  public:
    virtual ~DaemonPort() = default;
    // In the worker's thread: the file, and the command line over it.
    virtual config::Loaded read() const = 0;
    // Makes ready what can fail of a change, without any effect yet. An error: nothing was made ready.
    virtual Status stage(const config::CircusConfig& now, const config::CircusConfig& next) = 0;
    virtual void drop() = 0;  // what was staged is not wanted after all
    virtual void plugins(
        const std::vector<config::PluginConfig>& wanted) = 0;  // those that there are from now on
    virtual void
    commit() = 0;  // what was staged is in force, beside what it replaces where there can be both
    virtual void
    retire() = 0;  // what was replaced goes: the last answers on an old endpoint are on their way
};

// Where events go: in-process subscribers and PUB. `watcher` as configured; the bus makes RES of it.
class EventPort {
  public:
    virtual ~EventPort() = default;
    virtual void publish(std::string_view watcher, std::string_view event, Json payload) = 0;
    // Somebody wants the watcher to start, stop, restart or reload, whatever comes of it. Circus publishes
    // nothing of the kind: plugins alone hear of it, as operation.RES.OPERATION.
    virtual void asked(std::string_view watcher, std::string_view operation) = 0;
};

}  // namespace circus::supervise
