// Service: the keeper at work, from Hello to the exit code. Driven by datagrams of the arbiter, by signals
// and by its own few deadlines, all in one ppoll loop; it waits nowhere else (a spawn lasts until the child's
// exec).
//
// Phases: Serving -> Ending (the arbiter said Exit), or Serving -> Stopping -> Ending (the arbiter is gone or
// does not stop the stack in time: the keeper does it). Ending kills whatever is still below and returns.
//
// Invariants: a process is signalled only while it is unreaped, or through a pidfd. Spawned or SpawnFailed of
// an id precedes its Exited. What the arbiter does not read is kept in the rows of the table (table.hpp), so
// a stuck arbiter costs neither memory nor a message.
//
// One per process: its tables are static. Single-threaded, allocates nothing.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "keeper/channel.hpp"
#include "keeper/notifier.hpp"
#include "keeper/table.hpp"
#include "keeper/tree.hpp"
#include "keeper/wire.hpp"

namespace circus::keeper {

struct ServiceOptions {
    UniqueFd socket;  // to the arbiter
    // A daemon's: gets a byte once the arbiter is ready, after the standard descriptors were let go. Whoever
    // reads it sends the daemon's caller away.
    UniqueFd ready = {};
    pid_t arbiter_pid = 0;  // 0: the arbiter is not a child of this process; then its end is the socket's
    Duration stop_timeout = std::chrono::seconds(60);
    // How much longer than stop_timeout an arbiter that was told to stop may take, and how long after the
    // second request; also the least grace that the keeper gives when it stops the stack itself.
    Duration patience = std::chrono::seconds(5);
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
    void send_hello();
    void wait();
    TimePoint next_deadline() const;
    void take_signals();
    void on_signal_caught(int signo, pid_t sender);
    void reap();
    void on_child_gone(Child& child, int status, const rusage& usage);
    void on_arbiter_reaped(int status);
    void tell();
    bool tell_caught();
    bool tell_child(Child& child);
    bool send_or_wait(const void* data, std::size_t size, int fd = -1);  // false: not now
    void untold(Child& child);

    // requests.cc: what the arbiter asks for
    void take_requests();
    void look_for_exit();  // in what a dead arbiter has sent
    void on_message(Incoming& in);
    void on_spawn(Incoming& in);
    void on_signal(const SignalMessage& message);
    void on_hold(const HoldMessage& message, Incoming& in);
    void on_ready();

    // sweep.cc: signalling trees and killing what gone children left behind
    void signal_tree(const Child& child, int signo);
    void signal_children(const Child& child, int signo, pid_t only);
    bool belongs_to(pid_t stranger, const Child& child) const;
    bool is_left_behind(pid_t stranger) const;
    bool is_stranger(pid_t pid) const;
    bool sweep();  // true: something was killed
    void sweep_if_due();

    // last_stand.cc: the end of the stack
    void on_channel_closed();
    void stop_the_stack(int code);
    void keep_deadlines();
    int end();
    void kill_everything(bool spare_arbiter);

    Channel channel_;
    UniqueFd signals_;
    UniqueFd null_;   // /dev/null, for plans that ask for it
    UniqueFd ready_;  // until the daemon's caller was told
    UniqueFd saved_;  // the arbiter's state, newest
    Notifier notifier_;
    pid_t self_;
    pid_t arbiter_pid_;
    Duration stop_timeout_;
    Duration patience_;
    HelloMessage hello_;

    Phase phase_ = Phase::Serving;
    int code_ = 0;
    bool reap_due_ = true;    // until the kernel has been seen to have no more
    bool is_full_ = false;    // the socket takes no more: POLLOUT is awaited
    bool is_closed_ = false;  // the arbiter's end is closed: nothing can be told any more
    int stop_requests_ = 0;   // TERM, INT, QUIT so far
    // A time point of zero is "none".
    TimePoint retry_at_{};         // telling
    TimePoint sweep_at_{};         // after deaths that nobody asked for
    TimePoint stop_sweep_at_{};    // before the Exited of unswept_ are told
    TimePoint held_until_{};       // how long those wait at the most for what was left behind to be gone
    TimePoint swept_at_{};         // the last sweep
    TimePoint arbiter_kill_at_{};  // its socket is closed, but it has not ended
    TimePoint give_up_at_{};    // Serving: the arbiter should have said Exit by then. Stopping: Ending then
    TimePoint next_kill_at_{};  // Stopping: the earliest kill_at
    Duration sweep_delay_{};
    ChildTable::Untold untold_;
    ChildTable::Unswept unswept_;

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
