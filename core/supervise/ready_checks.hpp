// ReadyChecks: the processes of one watcher that do not count yet, because its `ready` says more than
// "spawned", and how each of them comes to count. One entry a process, from its Spawned to the first of: it
// is ready, it is not wanted any more (forget()), it is gone.
//
//   notify   the process says READY=1 to the arbiter's socket; NotifyPort hands it on as Arbiter::on_notified
//   log      a line of its output matches; its watcher is told by StreamPort, and tells this
//   tcp      somebody listens at an address: ProbePort looks, again and again, at kLooksAtOnce of a watcher
//   http     the same, and answers with a status of 2xx or 3xx
//   exec     a command is run, again and again, until it exits with 0: a child of the keeper like a hook's,
//            Stopping from its birth, one a process at a time, kCommandsAtOnce of a watcher at the most
//
// The time that a process has is the watcher's business (Process::ready_by, decided by model::reconcile).
// A process keeps the `ready` that it was spawned with. One that another arbiter waited for is begun with
// again (Watcher::resume): looks and commands anew, and what it has said meanwhile waits in the socket or in
// its pipe.
//
// Nothing is called back from inside a call: facts set data and mark, settle() hands on. Owned by its
// Watcher, made with its first question; the loop's thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "supervise/identity.hpp"
#include "supervise/process.hpp"
#include "supervise/stack.hpp"

namespace circus::supervise {

class ReadyChecks {
  public:
    static constexpr std::size_t kCommandsAtOnce = 16;
    static constexpr std::size_t kLooksAtOnce = 64;

    using Ready = std::function<void(ChildId)>;
    // `ready` is called by settle(), once for each process that became ready. `owns` is told of each new
    // child, `mark` asks for a settle(). The watcher's configuration may change.
    ReadyChecks(const config::WatcherConfig& config, const Identity& identity, Stack& stack,
                std::function<void(ChildId)> owns, std::function<void()> mark, Ready ready);
    ReadyChecks(const ReadyChecks&) = delete;
    ReadyChecks& operator=(const ReadyChecks&) = delete;

    void begin(const Process& process);  // it runs; its watcher's `ready` is not "spawned"
    void forget(ChildId id);             // also of one that is not asked about
    void close();                        // all of them; commands are killed
    bool is_awaited(ChildId id) const { return entries_.contains(id); }
    // What kept it from being ready when it was last looked at, for an error: ", its check exited with 1".
    std::string trouble(ChildId id) const;
    bool is_busy() const { return !children_.empty(); }  // a command is not gone yet

    // Hands on what came and looks where it is time to. Returns when to call again.
    std::optional<TimePoint> settle();

    // ---- facts ----
    void found(ChildId id);  // it is ready
    void looked(ChildId id, const Status& answered);
    bool owns(ChildId id) const { return children_.contains(id); }
    void on_spawned(ChildId id, pid_t pid, UniqueFd pidfd);
    void on_spawn_failed(ChildId id, const std::string& why);
    void on_exited(ChildId id, int status);
    void collect(std::vector<const Process*>& processes) const;

  private:
    struct Entry {
        config::ReadyConfig ready;
        model::Wid wid = 0;
        pid_t pid = 0;
        Duration pause{};
        TimePoint next_look = TimePoint::max();  // when its address is looked at or its command run
        ChildId command = 0;                     // 0: none runs
        bool is_looked_at = false;
        std::string trouble{};
    };
    struct Child {
        Process process;
        ChildId of = 0;  // 0: nobody wants to know any more
    };

    void look_at_due(TimePoint now);
    Status look(ChildId id, Entry& entry);
    Status run(ChildId id, Entry& entry);
    void look_later(Entry& entry, std::string trouble);
    void kill(ChildId id);

    const config::WatcherConfig& config_;
    const Identity& identity_;
    Stack& stack_;
    std::function<void(ChildId)> owns_;
    std::function<void()> mark_;
    Ready ready_;
    std::map<ChildId, Entry> entries_;
    std::map<ChildId, Child> children_;
    std::size_t looks_ = 0;  // under way
    std::vector<ChildId> found_;
};

}  // namespace circus::supervise
