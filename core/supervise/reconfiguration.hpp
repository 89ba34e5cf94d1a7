// Reconfiguration: a change of the configuration under way, the arbiter's own operation besides quit.
//
//   Idle      nothing is asked for
//   Reading   the worker's thread reads the file, looks up users and hosts and binds new sockets; the loop
//   goes on Stopping  Restart only: everything is being stopped, in order; the new sockets are bound already
//
// It is a transaction. Until the file is read, every error found and every new socket bound, nothing is
// touched, and what can fail fails there. Then, in one go, sockets, [circus] and watchers are switched, and
// the next change may begin while the watchers still carry this one out: a *run* waits for them and answers.
//
// Several that ask meanwhile wait in a queue, and those that ask for the same are answered by one change;
// none is refused but by a daemon that stops. Driven by Arbiter and by what WorkerPort calls, on the loop's
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/diff.hpp"
#include "supervise/config_plan.hpp"
#include "supervise/identity.hpp"
#include "supervise/ports.hpp"
#include "supervise/staged_sockets.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

class Arbiter;

class Reconfiguration {
  public:
    // Null ports: there is nothing to read, and every request is answered so.
    Reconfiguration(Arbiter& arbiter, WorkerPort* worker, DaemonPort* daemon);
    ~Reconfiguration();
    Reconfiguration(const Reconfiguration&) = delete;
    Reconfiguration& operator=(const Reconfiguration&) = delete;

    void ask(ConfigChange what, ConfigDone done);
    // The daemon stops: whoever waits is answered so, and what was staged is dropped.
    void cancel();

    // For whoever follows this arbiter: watchers that are to be started by a change that is under way, and
    // whether all are being stopped to be started anew.
    std::vector<std::string> unstarted() const;
    bool is_restarting() const { return staged_ && what_ == ConfigChange::Restart; }

  private:
    struct Reading;
    using Identities = std::map<std::string, Identity>;  // by the watcher's name in lower case
    // A new configuration, checked and bound.
    struct Staged {
        config::Config file;
        config::Config wanted;  // the file, and what runs where the file did not change
        config::Difference difference;
        Identities identities;
        std::optional<StagedSockets> sockets;
        ConfigPlan plan;
    };
    // A change that was switched to and is being carried out.
    struct Run {
        std::vector<ConfigDone> waiters;
        ConfigPlan plan;
        std::size_t open = 0;             // operations that are not through
        std::size_t removing = 0;         // of which removals
        std::vector<std::string> failed;  // "watcher web: reload given up: …"
        std::vector<std::string>
            to_start;  // once all removals are through: who takes a place may need it empty
    };
    using RunId = std::uint64_t;

    void begin();
    void on_read(Reading& reading);
    Staged stage(Reading& reading) const;
    Status load_hooks(const config::Config& wanted) const;  // of those that changed
    config::Config running() const;
    static std::string broken_plugins(const Staged& staged, const config::Loaded& loaded);
    void fail(const Error& error);
    void end(std::vector<ConfigDone> waiters, const Result<ConfigPlan>& result);
    void next();

    void on_all_stopped();
    void switch_daemon();
    void carry_out();
    void start_anew();
    void move_files();
    void change(Run& run, RunId id, const config::WatcherChange& change);
    Watcher& place(const config::WatcherConfig& config);
    const Identity& identity_for(const Watcher& watcher, const config::WatcherConfig& wanted) const;
    void renumber_places();
    RunId open_run();
    Done part_of(RunId id, std::string watcher, bool removal = false);
    void close_part(RunId id);
    void start_added(RunId id);

    Arbiter& arbiter_;
    WorkerPort* const worker_;
    DaemonPort* const daemon_;

    std::deque<std::pair<ConfigChange, ConfigDone>> queue_;
    bool busy_ = false;  // Reading or Stopping
    std::uint64_t turn_ =
        0;  // grows with each change and with cancel(): an answer of an older one is not meant
    ConfigChange what_ = ConfigChange::Reload;
    std::vector<ConfigDone> waiters_;
    std::optional<Staged> staged_;
    std::map<RunId, Run> runs_;
    RunId next_run_ = 1;
};

}  // namespace circus::supervise
