// Watcher: one program and its processes.
//
// Two facts are kept apart. *Wanted*: up or down, and numprocesses. *Current*: the processes there are. The
// status that clients see follows from both:
//
//   wanted        no process     some slot never ran since the start     every slot ran
//   up            starting       starting                                active
//   up, drain     starting       stopping                                stopping
//   down          stopped        stopping                                stopping
//
// Between the two stand the hooks of a start and a stop: model::Phase says where the watcher is on its way
// from one to the other, and what it may do there. While a hook is asked, a start is "starting", a stop
// "stopping".
//
// "Stopping, but will start again" is the pair (up, drain), not a fifth status. Nor is "waiting": an
// on_demand watcher that was started is *armed*, and while it is down (status stopped) the first connection
// to a socket it uses makes it up. stop() takes it down and leaves it armed, so it waits again; disarm() ends
// that. What to do about a difference is decided by model::reconcile() and carried out by settle(). A watcher
// goes down by itself when max_retry spawns in a row failed and none of its processes is ready, or when
// respawn is off and every process has ended.
//
// Driven by Arbiter only, on the loop's thread. Wishes and facts set data and mark; settle() acts, publishes,
// and hands finished waiters to the arbiter, which calls them.
//
// A process counts (for "every slot ran", for a reload, for who depends on this watcher) when it is ready, as
// `ready` has it, and its after_spawn has said yes. One that is not ready in time, or ends before, is
// replaced after a pause; of a reload that is the end, and what it was to replace stays.
//
// What a watcher would start with that takes over processes from another arbiter: each of them ready, no
// reload under way (none outdated), `reached` as far as that was told (completed cannot be seen from anything
// else).
//
// A hook that is a command is a child of its HookCalls, not among `processes_`. A stop_command is a Process
// of its own (Process::stops), told by nobody and waited for by whoever waits for an end.
//
// Invariants: every Process is in `processes_` from its Spawn to its Exited or SpawnFailed; a wid has at most
// one process that is neither outdated nor on its way out; a waiter is finished exactly once; each `spawn`
// event is followed by one `reap`.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "model/backoff.hpp"
#include "model/dependency.hpp"
#include "model/phase.hpp"
#include "model/reconcile.hpp"
#include "model/status.hpp"
#include "supervise/hook_calls.hpp"
#include "supervise/identity.hpp"
#include "supervise/ports.hpp"
#include "supervise/process.hpp"
#include "supervise/ready_checks.hpp"
#include "supervise/stack.hpp"
#include "supervise/tally.hpp"

namespace circus::supervise {

// What an operation did, pids sorted: the `info` of Circus's answers.
struct OpResult {
    std::vector<pid_t> started, stopped, kept;
};
// Called once, from Arbiter::settle(). Empty: nobody waits.
using Done = std::function<void(Result<OpResult>)>;

enum class ReloadKind { AsConfigured, Graceful, Sequential, Terminate };

struct ReloadRequest {
    ReloadRequest(ReloadKind wanted = ReloadKind::AsConfigured)
        : kind(wanted) {}  // NOLINT: implicit on purpose

    ReloadKind kind;
    std::optional<int> max_surge{}, max_unavailable{};  // nullopt: the watcher's
    int canary = 0;                                     // so many new ones first,
    Duration canary_watch{};                            // watched for so long
};

struct KillRequest {
    std::optional<pid_t> pid;                // nullopt: every process
    std::optional<int> signo;                // nullopt: the watcher's stop_signal
    std::optional<double> graceful_timeout;  // seconds; nullopt: the watcher's
};

struct SignalRequest {
    int signo = 0;
    std::optional<pid_t> pid;        // nullopt: every process of the watcher
    std::optional<pid_t> child_pid;  // only this child of `pid`
    bool children = false;           // its direct children only
    bool recursive = false;          // the process, then all its descendants
};

class Watcher {
  public:
    // How a watcher reaches its arbiter: `finish` takes over a waiter that is through, with its result;
    // `owns` is told of each new child; `mark` asks for a settle().
    using Finish = std::function<void(Done, Result<OpResult>)>;
    using Owns = std::function<void(Watcher&, ChildId)>;
    using Mark = std::function<void(Watcher&)>;
    // Whether what it depends on lets it start; `why` is said of one that is hopeless.
    using Gate = std::function<model::DependencyState(const Watcher&, std::string& why)>;
    Watcher(config::WatcherConfig config, Identity identity, Stack& stack, Finish finish, Owns owns,
            Mark mark, Gate gate);

    // ---- queries ----
    const config::WatcherConfig& config() const { return config_; }
    const std::string& name() const { return config_.name; }
    const Identity& identity() const { return identity_; }
    model::WatcherStatus status() const;
    int numprocesses() const { return config_.numprocesses; }
    bool is_up() const { return up_; }
    // Why it is not up although nobody has stopped it; empty: it is, or somebody has.
    const std::string& gave_up_because() const { return gave_up_; }
    bool is_armed() const { return armed_; }
    bool is_held_back() const { return up_ && gated_; }  // what it depends on is not there yet
    // What it reached since it was started last.
    const model::Milestones& reached() const { return reached_; }
    // It has ended for good by itself: its exit code, 128 + the number of a signal. Once for each such end.
    std::optional<int> take_end() { return std::exchange(end_, std::nullopt); }
    // Its sockets are to be watched; on_connection() is to be called when one of them has something.
    bool is_awaiting() const { return awaiting_; }
    // Nothing of it runs, and nothing of its stop is still to come.
    bool is_gone() const {
        return processes_.empty() && draining_ == 0 && phase_ == model::Phase::Closed &&
               !(hooks_ && hooks_->is_busy()) && !(checks_ && checks_->is_busy());
    }
    // Why the last process of that wid was ended that used too much memory or never was ready; empty: none
    // was.
    std::string trouble_of(model::Wid wid) const;
    std::size_t ready_count() const;             // of the active ones, those that count
    std::vector<const Process*> active() const;  // those with a pid, oldest first
    std::size_t active_count() const { return active_count_; }
    Tally tally() const;
    const Process* find_child(ChildId id) const;  // null: none of the active ones
    const Process* find_pid(pid_t pid) const;
    void collect(std::vector<const Process*>& processes) const;  // all of its children
    // Adds what extended_stats hooks say to `infos`, {"PID": {…}, …}. `done` is called once, from
    // Arbiter::settle().
    void extend(const Json& infos, std::function<void(Json)> done);

    // ---- from one arbiter to the next (watcher_saved.cc) ----
    // By which the keeper's notes name it.
    std::uint64_t serial() const { return serial_; }
    void set_serial(std::uint64_t serial) { serial_ = serial; }
    std::uint64_t config_version() const { return config_version_; }  // grows with each change of it
    Json saved() const;                                               // beside configuration and identity
    // In this order, before anything else: what was saved, each of its processes, and on it goes.
    void restore(const Json& saved);
    // Before the pipe of that child is read again: its line may be what it is waited for.
    void watch_inherited(ChildId id, PipeId pipe);
    void adopt(const keeper::ChildMessage& facts, UniqueFd pidfd);
    void resume();

    // ---- wishes ----
    void start(Done done);
    void stop(Done done);
    void disarm();  // on_demand: before a stop() that is meant for good
    void leave();   // behind it, where the watcher was removed: what waits in its slots is accepted first
    void restart(Done done);
    void reload(const ReloadRequest& request, Done done);
    // With `drain` the processes that are too many are stopped when they have no connection in hand, and at
    // the latest after that time.
    void set_numprocesses(int count, Duration drain, Done done);
    void kill(const KillRequest& request, Done done);
    void signal(const SignalRequest& request);
    // A changed configuration of the same name; the caller has checked it, and looked up its identity. With
    // `reload` the processes are replaced.
    void reconfigure(config::WatcherConfig config, Identity identity, bool reload, Done done);
    void kill_all_now();
    // Leaves the processes alone from now on: nothing is started, stopped or replaced until stop().
    void abandon();

    // ---- facts ----
    void on_spawned(ChildId id, pid_t pid, UniqueFd pidfd);
    void on_spawn_failed(ChildId id, keeper::SpawnStage stage, int error, int detail);
    void on_exited(ChildId id, int status, const rusage& usage);
    void on_connection();
    void on_ready(ChildId id);  // it said so
    void on_looked(ChildId id, const Status& answered);
    void on_memory(const std::map<ChildId, std::uint64_t>& bytes);  // of its processes, resident

    // Carries out the difference. Returns when time alone will change something.
    std::optional<TimePoint> settle();
    // The next settle() compares anew. Every wish and fact says so by itself but one, the plain Spawned,
    // which can change nothing but the announcements: with thousands of workers starting, that is what keeps
    // a start linear.
    void look() { look_ = true; }
    bool is_marked() const { return marked_; }
    void set_marked(bool marked) { marked_ = marked; }

  private:
    enum class Await { Up, Down, Reloaded, Count, Killed };
    struct Waiter {
        Await what;
        std::vector<pid_t> before;     // active when the operation began
        std::vector<ChildId> victims;  // Killed
        Done done;
    };
    struct Slot {
        bool ran = false;      // since the watcher was started
        bool spent = false;    // ended, and respawn is off
        bool renewed = false;  // a process that this reload started ran, and has ended since
        bool asked = false;    // before_spawn is asked
        bool cleared = false;  // before_spawn said yes to the next spawn
        bool spawned = false;  // since the watcher was started
        std::string why{};     // the last process that was ended because of its memory, or was never ready
        Duration delay{};      // back-off
        TimePoint not_before{};
        int failed_in = 0;  // the last round that it failed in
    };

    Json saved_unready() const;
    Json saved_marks() const;
    void take_marks(Process& process);
    void mark_replaced();
    void await_anew(Process& process);
    void wait_for(Await what, Done done, std::vector<ChildId> victims = {});
    void supersede(const char* by);  // every waiter but those for Down and Killed ends with an error
    void go_up();
    void want_up();  // start, or with on_demand wait for the first connection
    void reset_slots();
    void resize_slots();  // after a change of numprocesses
    config::ReloadMode mode_of(const ReloadRequest& request) const;
    Status begin_reload(const ReloadRequest& request, config::ReloadMode mode);
    void send_hup(Done done);
    void end_reload(bool completed, const std::string& why);
    Slot& slot(model::Wid wid);
    model::BackoffPolicy backoff() const;

    void compare();
    model::WatcherView view() const;
    // False: something of it failed before it reached the keeper, and what is wanted may be another thing by
    // now.
    bool carry_out(const model::Plan& plan, const std::vector<Process*>& order);
    bool spawn(model::Wid wid);
    void act(Process& process, model::ProcessAct what);
    void send_stop(Process& process);
    void send_stop_signal(Process& process, int signo, bool announce);
    void send_kill(Process& process);
    struct Shot {
        int signo = 0;
        keeper::Scope scope = keeper::Scope::Process;
        bool stopping = false;  // the keeper is to know that this is a stop
        bool announce = false;  // by a `kill` event
    };
    void aim(Process& process, const Shot& shot);  // fire(), if before_signal lets it
    void fire(Process& process, const Shot& shot);
    void expect_end(const Process& process);
    Status run_stop_command(Process& process);
    void on_stop_command_ended(const Process& command, const std::string& trouble);
    // `counts`: it was still to be started. Without a stage: it did not come as far as to the keeper.
    void spawn_failed(model::Wid wid, const Error& why, bool counts,
                      std::optional<keeper::SpawnStage> stage = {});
    bool begins_round(Slot& s);
    void forget_failures();
    int most_failures() const;
    void give_up(const std::string& why);  // it is not wanted up any more
    std::optional<TimePoint> expiry_of(const Process& process) const;

    // ---- draining ----
    void let_linger(Duration drain, int before);
    void let_idle_go();
    void leave_sockets();
    void drain_sockets();
    void trim_sockets();
    std::set<std::string> unused_sockets() const;  // in lower case
    bool may_freeze() const;
    bool has_listener(model::Wid wid) const;  // of its own
    void tell_slots() const;
    std::vector<SocketTable::Held> held_sockets(model::Wid wid) const;
    void let_go_if_idle(Process& process, int surplus);
    void look_less_often(Process::Lingers& lingers, int surplus, TimePoint began) const;
    void stop_lingering(Process& process);
    void thaw(Process& process);

    // ---- hooks ----
    bool is_hooked(model::HookPoint point) const {
        if (config_.hooks.empty() && (!stack_.hooks || stack_.hooks->empty())) return false;
        return !hurried_ && HookCalls::is_hooked(config_, stack_, point);
    }
    HookCalls& hooks();
    bool is_held();  // what it depends on is not there yet
    void kill_for_memory(Process& process, std::uint64_t bytes);
    void replace_for_memory(Process& process, std::uint64_t bytes);
    void tell_memory(const Process& process, std::uint64_t bytes, const char* limit);
    void ended_for_good(int code);
    bool walk();  // through the phases, as far as the facts allow; whether it got anywhere
    void advance(model::PhaseEvent event);
    void ask_phase(model::HookPoint point);
    void drop_asked();
    void ask_before_spawn(model::Wid wid);
    void ask_after_spawn(Process& process);
    void prove(model::Wid wid);  // its process counts
    void refuse_start(const std::string& why);
    void tell(HookFacts facts);  // whatever is said to it

    // ---- readiness ----
    ReadyChecks& checks();
    void await_ready(Process& process);
    void became_ready(ChildId id);
    Status prepare_ready(Process& process, keeper::SpawnRequest& request);
    Status watch_output(const Process& process);
    void ask_again(const Process& process);
    void stop_awaiting(Process& process);
    void was_late(Process& process);
    void ended_unready(model::Wid wid, pid_t pid, bool outdated, const std::string& why);
    void fail_waiters(std::initializer_list<Await> those, const std::string& why);

    void tell_reaped(const Process& process, int code);
    void tell_death(const Process& process, bool expected, int status, const rusage& usage);

    void finish_pipes(const Process& process);
    Replaced replaced_because(const Process& process, bool asked) const;
    void announce();
    void finish_waiters();
    bool is_through(const Waiter& waiter) const;
    OpResult result_of(const Waiter& waiter) const;
    bool all_ran() const;
    bool all_spawned() const;
    bool has_outdated() const;
    void publish(const char* event);
    void publish_pid(const char* event, pid_t pid);

    config::WatcherConfig config_;
    Identity identity_;
    Stack& stack_;
    Finish finish_;
    Owns owns_;
    Mark mark_;
    Gate gate_;

    std::uint64_t serial_ = 0;
    std::uint64_t config_version_ = 1;
    ChildId outdated_below_ = 0;  // reloading: whoever is older is to be replaced
    bool marked_ = false;         // waits in the arbiter's list for settle()
    bool look_ = true;
    std::optional<TimePoint> look_again_;
    bool abandoned_ = false;
    bool up_ = false;
    std::string gave_up_;
    bool armed_ = false;     // on_demand, and started
    bool awaiting_ = false;  // as the last plan has it
    Duration await_delay_{};
    TimePoint await_not_before_{};
    bool drain_ = false;  // spawn nothing until every process is gone
    bool reloading_ = false;
    bool gated_ = false;  // a start that has not been let through yet
    bool told_held_ = false;
    model::Rollout rollout_;
    model::Canary canary_;
    model::Milestones reached_;
    int last_code_ = 0;       // of the last process that did not end with 0 since the start
    std::optional<int> end_;  // taken by take_end()
    bool hurried_ = false;    // nobody is asked any more
    bool has_lingering_ = false;
    bool is_removed_ = false;
    bool awaits_ready_ = false;                          // some process was to say that it is ready
    std::optional<Process::Lingers> inherited_lingers_;  // between restore() and resume()
    model::Phase phase_ = model::Phase::Closed;
    std::string phase_why_;  // what the hook that was asked last said
    Duration start_delay_{};
    TimePoint ask_again_{};  // Paused
    model::Replacement replacement_ = model::Replacement::NewFirst;
    int failures_ = 0;          // rounds of failed spawns in a row, and of processes that were never ready
    int round_ = 0;             // of those that failed for whatever reason, since one did not
    std::string last_failure_;  // as it was logged
    int draining_ = 0;          // pipes of reaped processes that are still read
    std::size_t active_count_ = 0;
    std::optional<TimePoint> last_spawn_;
    std::vector<Slot> slots_;               // by wid - 1
    std::map<ChildId, Process> processes_;  // by age
    // Whom the arbiter before waited for, until they are adopted; `by`: nothing where it was not spawned yet.
    struct Unready {
        config::ReadyConfig ready{};
        std::optional<TimePoint> by{};
    };
    std::map<ChildId, Unready> unready_before_;
    struct Marked {
        bool outdated = false, condemned = false;
        model::EndCause cause = model::EndCause::Operation;
        std::string why{};
        std::optional<int> kill_signal{};
        std::optional<double> kill_timeout{};
        std::optional<TimePoint> grace_over{};
    };
    std::map<ChildId, Marked> marked_before_;  // the same
    std::vector<Waiter> waiters_;
    std::unique_ptr<HookCalls> hooks_;     // null: nothing was ever asked
    std::unique_ptr<ReadyChecks> checks_;  // the same
};

}  // namespace circus::supervise
