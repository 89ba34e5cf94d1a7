// Service: the keeper at work, from Hello to the exit code. Driven by datagrams of the arbiter, by signals
// and by its own few deadlines, all in one ppoll loop; it waits nowhere else (a spawn lasts until the child's
// exec).
//
// Phases: Serving -> Ending (the arbiter said Exit), or Serving -> Stopping -> Ending (the arbiter does not
// stop the stack in time, or is gone and cannot be followed by another: the keeper does it). Ending kills
// whatever is still below and returns.
//
// An arbiter that dies once it was ready is followed by another, again and again, at growing distances; the
// children live on meanwhile. One that dies before it was ever ready says that this stack cannot be started,
// and one that dies while it stops the stack leaves the rest of that to the keeper. One that follows another
// and is not ready in time is ended, as one that hangs later. After an upgrade, where some arbiter was ready
// and none of this binary yet, two such deaths in a row, or one that is not ready in time, lead back to the
// binary before.
//
// Invariants: a process is signalled only while it is unreaped, or through a pidfd. Spawned or SpawnFailed of
// an id precedes its Exited. What the arbiter does not read is kept in the rows of the table (table.hpp), so
// a stuck arbiter costs neither memory nor a message; what it has read and not taken in is told to the next.
//
// One per process: its tables are static. Single-threaded, allocates nothing.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "keeper/channel.hpp"
#include "keeper/child.hpp"
#include "keeper/notifier.hpp"
#include "keeper/table.hpp"
#include "keeper/tree.hpp"
#include "keeper/wire.hpp"

namespace circus::keeper {

struct ServiceOptions {
    // Starts an arbiter with that socket; null: none can follow the one there is.
    SpawnOutcome (*start_arbiter)(const void* context, int socket) = nullptr;
    const void* start_context = nullptr;
    char* const* argv = nullptr;  // of this process, for the binary that it may become; null: it becomes none
    int resume = -1;              // what the binary before has written down; in the place of the socket
    UniqueFd socket;              // to the arbiter
    // A daemon's: gets a byte once the arbiter is ready, after the standard descriptors were let go. Whoever
    // reads it sends the daemon's caller away.
    UniqueFd ready = {};
    pid_t arbiter_pid = 0;  // 0: the arbiter is not a child of this process; then its end is the socket's
    Duration stop_timeout = std::chrono::seconds(60);
    // How much longer than stop_timeout an arbiter that was told to stop may take, and how long after the
    // second request; also the least grace that the keeper gives when it stops the stack itself.
    Duration patience = std::chrono::seconds(5);
    // The least that an arbiter that follows another one has to become ready.
    Duration ready_patience = std::chrono::seconds(5);
    std::uint64_t nofile_soft = 0;  // for Hello
    std::uint64_t nofile_hard = 0;
};

class Service {
  public:
    // All signals must be blocked and the process must be a subreaper.
    explicit Service(ServiceOptions options);
    // Returns the exit code of the daemon; no process is left below this one (save what SIGKILL cannot end).
    int run();

  private:
    enum class Phase { Serving, Stopping, Ending };

    // service.cc: the loop, signals, deaths, and telling the arbiter
    void wait();
    TimePoint next_deadline() const;
    void take_signals();
    void on_signal_caught(int signo, pid_t sender);
    void reap();
    void on_child_gone(Child& child, int status, const rusage& usage);
    void tell();
    bool tell_caught();
    bool tell_child(Child& child);
    bool send_or_wait(const void* data, std::size_t size, std::span<const int> fds = {});  // false: not now
    void untold(Child& child);
    void release_taken();

    // requests.cc: what the arbiter asks for
    void take_requests();
    void take_last_requests();  // of a dead arbiter
    void on_message(Incoming& in);
    void on_spawn(Incoming& in);
    void on_signal(const SignalMessage& message);
    void on_hold(const HoldMessage& message, Incoming& in);
    void on_save(Incoming& in);
    void on_ready();

    // sweep.cc: signalling trees and killing what gone children left behind
    void signal_tree(const Child& child, int signo);
    void signal_children(const Child& child, int signo, pid_t only);
    bool belongs_to(pid_t stranger, const Child& child) const;
    enum class Leftover { No, Yes, Unknown };
    Leftover left_behind(pid_t stranger) const;
    bool is_stranger(pid_t pid) const;
    bool sweep();  // true: something was killed, or ends just now: look again
    void sweep_if_due();

    // succession.cc: one arbiter after the other
    void on_arbiter_reaped(int status);
    void note_culprit();
    void note_end(const char* end);
    void look_for_a_beat();
    bool is_last_first_end(const char* end, bool was_late);
    void end_late_arbiter();
    void feed_watchdog();
    void start_next_if_due();
    void recall();
    bool greet();  // false: not through
    bool tell_hello();
    bool tell_inherited(Child& child);

    // reexec.cc: another binary in the place of this one
    bool is_swept();
    UniqueFd write_down(int way_back);
    int run_binary(const char* path, int way_back, const char* setback);
    void upgrade_if_due();
    bool take_up(int state);
    bool read_rows(int state, std::uint32_t children, std::uint32_t held);
    void go_back();

    // last_stand.cc: the end of the stack
    void on_channel_closed();
    void stop_the_stack(int code);
    void keep_deadlines();
    int end();
    void kill_everything(bool spare_arbiter);

    Channel channel_;
    UniqueFd signals_;
    UniqueFd null_;   // /dev/null, for plans that ask for it
    UniqueFd spare_;  // its number is the next saved state's where there is no other left
    UniqueFd ready_;  // until the daemon's caller was told
    UniqueFd saved_;  // the arbiter's state, newest
    Notifier notifier_;
    UniqueFd page_fd_;
    Page* page_ = nullptr;  // null: there is no memory for one
    SpawnOutcome (*start_arbiter_)(const void* context, int socket);
    const void* start_context_;
    char* const* argv_;
    char upgrade_to_[512] = {};
    bool is_upgrade_due_ = false;
    bool is_upgraded_ = false;  // the arbiter there is, is that of the binary before
    UniqueFd binary_before_;    // until an arbiter of this one was ready
    char first_end_[192] = {};  // of the last arbiter, while there is a way back
    bool is_late_ = false;      // it was ended because it did not become ready
    pid_t self_;
    pid_t arbiter_pid_;
    Duration stop_timeout_;
    Duration patience_;
    Duration ready_patience_;
    HelloMessage hello_;

    Phase phase_ = Phase::Serving;
    int code_ = 0;
    bool reap_due_ = true;           // until the kernel has been seen to have no more
    bool is_full_ = false;           // the socket takes no more: POLLOUT is awaited
    bool is_unsaved_due_ = false;    // a state came without its descriptor
    bool is_closed_ = false;         // the arbiter's end is closed: nothing can be told any more
    int stop_requests_ = 0;          // TERM, INT, QUIT so far
    bool is_arbiter_ready_ = false;  // the one there is
    bool was_ready_ = false;         // some arbiter was
    std::size_t failed_starts_ = 0;  // deaths in a row, none of them after a long life
    std::uint64_t sent_ = 0;         // datagrams to the arbiter there is
    ChildId last_child_ = 0;
    enum class Greeting { Hello, Children, Held, Last, Done } greeting_ = Greeting::Hello;
    std::uint32_t greeted_row_ = 1;  // the next one
    // A time point of zero is "none".
    TimePoint restart_at_{};      // there is no arbiter: the next one
    Duration arbiter_timeout_{};  // without a beat; zero: for ever
    std::uint64_t beats_seen_ = 0;
    TimePoint beat_at_{};          // when they were seen to be more
    Duration silent_{};            // without a beat, of one that is ended for it
    TimePoint heart_look_at_{};    // the next look; none while there is nobody to look at
    TimePoint arbiter_since_{};    // when the one there is was started
    TimePoint ready_by_{};         // it must be ready: one that follows another
    TimePoint feed_at_{};          // the service manager's watchdog; none while a ready arbiter does it
    TimePoint retry_at_{};         // telling
    TimePoint sweep_at_{};         // after deaths that nobody asked for
    TimePoint stop_sweep_at_{};    // before the Exited of unswept_ are told
    TimePoint held_until_{};       // how long those wait at the most for what was left behind to be gone
    TimePoint swept_at_{};         // the last sweep
    TimePoint swept_by_{};         // another binary waits no longer for what was left behind
    TimePoint arbiter_kill_at_{};  // its socket is closed, but it has not ended
    TimePoint give_up_at_{};    // Serving: the arbiter should have said Exit by then. Stopping: Ending then
    TimePoint next_kill_at_{};  // Stopping: the earliest kill_at
    TimePoint let_go_at_{};     // of the pages that only the start has needed
    Duration sweep_delay_{};
    ChildTable::Untold untold_;
    ChildTable::Unswept unswept_;
    ChildTable::Told told_;

    // One refusal that has no row (the table is full, or the id is taken). While it is untold no request is
    // read.
    bool is_refusal_due_ = false;
    SpawnFailedMessage refusal_;
    std::array<std::uint8_t, 65> caught_{};  // by signal: how many are untold
    std::array<pid_t, 65> caught_from_{};
};

// One line to stderr, if stderr takes it at once. For what an operator must know and no arbiter can say.
void complain(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace circus::keeper
