// The arbiter: owns the watchers and the sockets, takes facts (a process was spawned, exited; a command;
// time) and turns the difference between wanted and current into requests to the keeper.
//
// Driven by the loop on one thread. **Mark, then drain**: a fact or an operation sets data, marks its watcher
// dirty and returns; settle(), called once at the end of each loop turn, reconciles the dirty watchers,
// publishes, and calls the Done of operations that came to their end. Nothing is called back from inside a
// call.
//
// No global lock. Operations are changes of what is *wanted*, so two of one watcher merge instead of refusing
// each other: a second start waits for the same end, a stop overtakes a start (whose Done gets an error that
// says so), a start during a stop runs when the stop is through. Operations of different watchers know
// nothing of each other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "supervise/config_plan.hpp"
#include "supervise/deaths.hpp"
#include "supervise/demand.hpp"
#include "supervise/load_watch.hpp"
#include "supervise/memory_watch.hpp"
#include "supervise/ports.hpp"
#include "supervise/saved_state.hpp"
#include "supervise/sockets.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

// errno of an Error that crosses to a client, in Circus's numbers (protocol.md, section 1): Error::code of
// the errors that the operations below return.
enum class Errno : int {
    NotSpecified = 0,
    InvalidJson = 1,
    UnknownCommand = 2,
    Message = 3,
    Os = 4,
    Command = 5,
    Exception = 6
};

class Reconfiguration;

class Arbiter {
  public:
    // `stack` is what the watchers get; the arbiter fills in its sockets and [circus].
    struct Ports {
        KeeperPort& keeper;
        StreamPort& streams;
        EventPort& events;
        const Clock& clock;
        std::vector<std::string> environment;  // the daemon's own, "NAME=value"
        std::function<double()> random;        // [0, 1), for jitter and max_age_variance
        rlimit original_nofile{};              // given back to the children
        std::string instance;                  // the mark
        ReadinessPort& readiness;
        // For reconfigure(); null: there is no configuration to read again.
        WorkerPort* worker = nullptr;
        DaemonPort* daemon = nullptr;
        // Null: no plugin registers any, no library can be loaded.
        HookRegistry* hooks = nullptr;
        HookLibraryPort* hook_libraries = nullptr;
        DrainPort* drain = nullptr;  // null: what is too many is stopped at once
        // Null: no worker can say that it is ready, nobody looks at addresses.
        NotifyPort* notify = nullptr;
        ProbePort* probes = nullptr;
        DeathBook* deaths = nullptr;              // null: no records are kept
        std::function<model::OomCounts()> oom{};  // empty: nobody can tell
    };
    Arbiter(config::Config config, Ports ports);
    ~Arbiter();
    Arbiter(const Arbiter&) = delete;
    Arbiter& operator=(const Arbiter&) = delete;

    // Binds all sockets and gives them to the keeper. On an error nothing was started.
    Status bind_sockets();
    // Loads the libraries of the watchers' hooks. An error names the first that cannot be.
    Status load_hooks();
    void close_sockets() { sockets_.close_all(); }
    // In the place of bind_sockets() and start(): goes on where the arbiter before has ended. Its own
    // configuration was saved_config(), without its watchers. After an error it is good for nothing.
    Status restore(Inheritance inheritance);
    // Starts the watchers with autostart, by priority, [circus] warmup_delay apart.
    void start();

    // ---- queries; valid between two settle() ----
    const config::CircusConfig& config() const { return config_.circus; }
    const std::string& directory() const { return config_.directory; }
    const std::vector<config::PluginConfig>& plugins() const { return config_.plugins; }
    bool is_hurried() const { return hurried_; }  // quit_now() was called
    Watcher* find(std::string_view name) const;   // without case; null: unknown, or hidden
    Watcher* find_hidden(std::string_view name) const;
    std::vector<Watcher*> watchers() const;      // sorted by lower-case name, without the hidden ones
    std::vector<Watcher*> all_watchers() const;  // … and with them
    const SocketTable& sockets() const { return sockets_; }
    // The last lines of its output, where they are kept in memory and some process of it ever ran.
    std::optional<stream::Tail> tail(const Watcher& watcher, StreamKind kind,
                                     const stream::TailQuery& query) const;
    const DeathBook* deaths() const { return deaths_.book(); }  // null: there was no memory for one
    WorkerPort* worker() const { return worker_; }              // null: what may block is done on the loop
    bool is_stopping() const { return quitting_; }
    int exit_code() const { return exit_code_; }  // not 0: a critical watcher's, because of which all stops
    bool is_stopped() const;  // quitting, and every process but those of hidden watchers gone and drained

    // ---- operations ----
    // `done` is called once, from settle(), with what came of it. Give an empty one to not wait.
    void start(Watcher& watcher, Done done);
    void stop(Watcher& watcher, Done done);
    void restart(Watcher& watcher, Done done);
    void reload(Watcher& watcher, const ReloadRequest& request, Done done);
    // Negative: 0. Singleton: an error above 1. With `drain` see Watcher.
    void set_numprocesses(Watcher& watcher, int count, Done done, Duration drain = {});
    void kill(Watcher& watcher, const KillRequest& request, Done done);
    Status signal(Watcher& watcher, const SignalRequest& request);
    // Circus's `set`: all options are checked before the first is applied.
    Status set_options(Watcher& watcher, const std::vector<std::pair<std::string, Json>>& options, Done done);
    Result<Watcher*> add(config::WatcherConfig config);  // error: the name is taken
    // The name is gone at once; `done` when its processes are. nostop: they live on, unwatched, until circusd
    // ends.
    void remove(Watcher& watcher, bool nostop, Done done);
    // Of several: in priority order (stop: reversed, a lower priority is gone before a higher one is
    // stopped).
    void start_all(const std::vector<Watcher*>& watchers, Done done);
    void stop_all(const std::vector<Watcher*>& watchers, Done done);
    void restart_all(const std::vector<Watcher*>& watchers, Done done);
    void reload_all(const std::vector<Watcher*>& watchers, const ReloadRequest& request, Done done);
    // Stops everything, within stop_timeout or the shorter limit given.
    void quit(Done done, std::optional<Duration> within = {});
    void quit_now();  // SIGKILL to everything that is left
    void reopen_logs();
    // The configuration is read again, and what changed is carried out; or all is stopped and started by it;
    // or it is only said what would be done. See reconfiguration.hpp.
    void reconfigure(ConfigChange what, ConfigDone done);

    // ---- facts ----
    void on_spawned(ChildId id, pid_t pid, UniqueFd pidfd);
    void on_spawn_failed(ChildId id, keeper::SpawnStage stage, int error, int detail);
    void on_exited(ChildId id, int status, const rusage& usage);
    void on_readable(int fd);
    void on_looked(ChildId id, const Status& answered);
    // READY=1 was said by the first of these, of which each is the parent of the one before it.
    void on_notified(const std::vector<pid_t>& lineage);
    void on_time();  // the alarm of next_alarm(), or the safety pass of check_delay

    // What settle() does first. For who lets others act before the first turn is over.
    void save_wanted();
    // Drains what is dirty. Call at the end of each loop turn; cheap when there is nothing to do.
    void settle();
    std::optional<TimePoint> next_alarm() const;
    // pidfds and stop settings of everything alive, for the stop after the keeper's death.
    std::vector<const Process*> all_processes() const;

  private:
    friend class Reconfiguration;

    // Several watchers under one Done, which gets an error if there is one of any of them.
    struct Batch {
        std::size_t open = 0;
        Done done;
        std::vector<std::string> failed{};  // "web: reload given up: …"
    };
    using BatchId = std::uint64_t;
    struct PendingStart {
        TimePoint at;
        std::string key;  // the watcher's lower-case name
        BatchId batch;
    };
    // Stopping several: the groups of one priority one after the other, lowest first.
    struct StopSequence {
        std::vector<std::vector<std::string>> groups;
        std::size_t at = 0;
        bool stopped_group = false;
        BatchId batch = 0;
        bool then_start = false;  // restart_all
    };

    std::unique_ptr<Watcher> make_watcher(config::WatcherConfig config, Identity identity);
    Watcher& insert(config::WatcherConfig config, Identity identity);
    void mark(Watcher& watcher);
    void look_at_all();
    Watcher* owner(ChildId id);
    bool refuse(Done& done);
    BatchId open_batch(std::size_t size, Done done);
    Done part_of(BatchId batch, const Watcher& watcher);
    void close_part(BatchId batch, const std::string& failed = {});
    std::vector<std::vector<std::string>> by_priority(const std::vector<Watcher*>& watchers) const;
    void start_in_order(const std::vector<std::vector<std::string>>& groups, BatchId batch);
    void start_due();
    // ---- order, arbiter_order.cc ----
    Status check_dependencies_with(const config::WatcherConfig& changed) const;
    void start_dependencies(const Watcher& watcher);
    model::DependencyState gate(const Watcher& watcher, std::string& why);
    void release_dependents(const Watcher& of);
    void obey_critical(Watcher& watcher);
    void watch_memory();
    void look_at_memory(TimePoint now);
    bool advance_stops();
    void drop_removed();
    void watch_sockets(Watcher& watcher);

    // arbiter_saved.cc: from one arbiter to the next
    void note(const Watcher& watcher, bool removed);
    void note(const std::vector<Watcher*>& watchers);
    void note_overall();
    void save();  // if what was noted has changed
    void restore_watcher(const Json& about, const Json& state);
    void adopt(std::vector<InheritedChild> children);
    void adopt_pipes(Watcher& watcher, const keeper::ChildMessage& child);
    void adopt_lost_pipes();
    void resume(const Json& overall);
    struct Noted {
        std::uint64_t version = 0;
        std::string config, state;
    };

    config::Config config_;  // as the file was read last; what runs may have moved on since
    KeeperPort& keeper_;
    SocketTable sockets_;
    Demand demand_;
    Deaths deaths_;
    Stack stack_;
    std::map<std::string, std::unique_ptr<Watcher>, std::less<>> watchers_;  // by lower-case name
    std::vector<std::unique_ptr<Watcher>> removed_;  // nameless, until their processes are gone
    std::unordered_map<ChildId, Watcher*> owners_;
    std::map<const Watcher*, std::size_t> places_;  // in the configuration: order within a priority
    std::size_t next_place_ = 0;
    std::vector<Watcher*> dirty_;
    std::set<std::pair<TimePoint, Watcher*>> alarms_;
    std::map<const Watcher*, TimePoint> alarm_of_;
    std::vector<std::pair<Done, Result<OpResult>>> finished_;
    std::set<Watcher*> held_;  // those that wait for what they depend on, or did
    WorkerPort* const worker_;
    MemoryWatch memory_;
    LoadWatch loads_;
    std::map<BatchId, Batch> batches_;
    BatchId next_batch_ = 1;
    std::vector<PendingStart> pending_starts_;
    std::vector<StopSequence> stops_;
    TimePoint safety_pass_{};
    std::optional<TimePoint> quit_deadline_;
    bool quitting_ = false;
    int exit_code_ = 0;
    bool hurried_ = false;
    std::unique_ptr<Reconfiguration> reconfiguration_;

    std::uint64_t next_serial_ = 1;
    std::map<const Watcher*, Noted> noted_;
    std::vector<Watcher*> unnoted_;  // new since the last settle(); marked they would start in this order
    std::string noted_config_, noted_sockets_, noted_overall_;
    std::uint64_t config_version_ = 1, noted_config_version_ = 0, noted_sockets_version_ = 0;
    bool unsaved_ = false;
};

}  // namespace circus::supervise
