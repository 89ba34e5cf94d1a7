// The keeper's memory: its children, and the descriptors it holds. Fixed size, in bss, pages touched only as
// they are used; nothing here allocates or makes a system call, except that dropping a held descriptor closes
// it. Used by the keeper's one thread.
//
// A row of ChildTable lives from the Spawn request until everything about it was told and taken in:
//   acquired -> running (has a pid, found by pid) -> reaped (no pid any more, found by id) -> told, until the
//   arbiter has taken it in -> released
//   acquired -> failed -> released
// Invariants: a pid is in the index exactly while its process is unreaped, so a pid found here is ours and
// never a recycled one; what is not told yet is a flag of the row, so nothing unbounded is ever queued.
#pragma once

#include <array>
#include <cstdint>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "keeper/spawn_request.hpp"

namespace circus::keeper {

constexpr std::uint32_t kMaxChildren = 16384;
constexpr std::uint32_t kMaxHeld = 16384;

// All-zero is a row's unused state: the table is born as bss.
struct Child {
    ChildId id;
    pid_t pid;          // 0: not started, or reaped
    pid_t started_pid;  // the same, and kept: for messages only, never to be signalled
    int pidfd;          // -1 once it was handed to the arbiter
    std::int32_t stop_signal;
    std::uint32_t graceful_timeout_ms;
    bool kill_tree;
    bool stopping;  // its stop has begun: sweep before Exited
    TimePoint stopping_since;
    TimePoint started;
    double started_wall;
    std::uint64_t start_ticks;  // as proc_pid_stat(5) has it; 0: not known
    ChildNote note;
    bool failed;      // tell SpawnFailed
    bool tell_start;  // Spawned or SpawnFailed is due
    bool tell_exit;   // Exited is due
    SpawnStage stage;
    std::int32_t error;
    std::int32_t detail;
    std::int32_t status;  // of wait4, once reaped
    rusage usage;
    std::uint64_t told_at;  // Exited was told, as the datagram of that number; 0: it was not
    TimePoint kill_at;      // when the keeper stops the stack itself: SIGKILL then

    // Links of the table: row numbers, 0 is none.
    std::uint32_t next_by_id;
    std::uint32_t next_by_pid;
    std::uint32_t next_untold;
    std::uint32_t next_unswept;
    std::uint32_t next_told;
    bool is_untold;
};

class ChildTable {
  public:
    // Null when the table is full. The id must not be in it.
    Child* acquire(ChildId id);
    void release(Child& child);  // it must not be in a queue
    void set_pid(Child& child, pid_t pid);
    void clear_pid(Child& child);
    Child* by_id(ChildId id);
    Child* by_pid(pid_t pid);
    std::uint32_t running() const { return running_; }  // rows with a pid

    // Visits every row that has a pid. visit(Child&) may clear pids and release rows.
    template <class Visit>
    void for_each_running(Visit&& visit) {
        for (std::uint32_t row = 1; row <= touched_; ++row)
            if (rows_[row].pid != 0) visit(rows_[row]);
    }

    // Visits every row that is in use, from row number `from` on; stops where visit(Child&) returns false and
    // says where that was. 0: there are no more.
    template <class Visit>
    std::uint32_t visit_rows(std::uint32_t from, Visit&& visit) {
        for (std::uint32_t row = from; row <= touched_; ++row)
            if (rows_[row].id != 0 && !visit(rows_[row])) return row;
        return 0;
    }

    // A first-in-first-out list through the rows themselves.
    template <std::uint32_t Child::*Next>
    struct Queue {
        std::uint32_t head = 0;
        std::uint32_t tail = 0;
    };
    using Untold = Queue<&Child::next_untold>;
    using Unswept = Queue<&Child::next_unswept>;
    using Told = Queue<&Child::next_told>;
    template <std::uint32_t Child::*Next>
    void push(Queue<Next>& queue, Child& child) {
        const std::uint32_t row = row_of(child);
        child.*Next = 0;
        (queue.tail != 0 ? rows_[queue.tail].*Next : queue.head) = row;
        queue.tail = row;
    }
    template <std::uint32_t Child::*Next>
    Child* front(const Queue<Next>& queue) {
        return queue.head != 0 ? &rows_[queue.head] : nullptr;
    }
    template <std::uint32_t Child::*Next>
    void pop(Queue<Next>& queue) {
        queue.head = rows_[queue.head].*Next;
        if (queue.head == 0) queue.tail = 0;
    }

  private:
    static constexpr std::uint32_t kBuckets = 2 * kMaxChildren;
    static std::uint32_t bucket(std::uint64_t key) { return static_cast<std::uint32_t>(key % kBuckets); }
    std::uint32_t row_of(const Child& child) const {
        return static_cast<std::uint32_t>(&child - rows_.data());
    }

    std::array<Child, kMaxChildren + 1> rows_{};  // row 0 is none
    // Chains of rows. Ids and pids are given out in sequence, so the chains are short.
    std::array<std::uint32_t, kBuckets> by_id_{};
    std::array<std::uint32_t, kBuckets> by_pid_{};
    std::uint32_t free_ = 0;     // released rows, chained by next_by_id
    std::uint32_t touched_ = 0;  // rows that were ever used
    std::uint32_t running_ = 0;
};

// The descriptors that outlive an arbiter's interest in them. Owns them.
class HeldTable {
  public:
    // Takes the descriptor. False: table full or id known already, and then it is closed.
    bool hold(HoldId id, UniqueFd fd, const char* name);
    void drop(HoldId id);
    int find(HoldId id) const;  // -1: unknown
    // As ChildTable::visit_rows(), with visit(HoldId, name, fd).
    template <class Visit>
    std::uint32_t visit_rows(std::uint32_t from, Visit&& visit) const {
        for (std::uint32_t row = from; row <= touched_; ++row)
            if (rows_[row].id != 0 && !visit(rows_[row].id, rows_[row].name, rows_[row].fd)) return row;
        return 0;
    }

  private:
    struct Row {
        HoldId id;
        int fd;
        std::uint32_t next;
        char name[240];
    };
    static constexpr std::uint32_t kBuckets = kMaxHeld;
    static std::uint32_t bucket(HoldId id) { return static_cast<std::uint32_t>(id % kBuckets); }

    std::array<Row, kMaxHeld + 1> rows_{};
    std::array<std::uint32_t, kBuckets> by_id_{};
    std::uint32_t free_ = 0;
    std::uint32_t touched_ = 0;
};

// The children that went lately: who owned a session or a mark that is still seen. The oldest are forgotten.
class GoneRing {
  public:
    struct Gone {
        ChildId id;  // 0: unused
        pid_t pid;
        bool kill_tree;
    };
    void add(const Gone& gone) {
        rows_[next_] = gone;
        next_ = (next_ + 1) % kSize;
    }
    // The newest with that pid or id, or null.
    const Gone* by_pid(pid_t pid) const;
    const Gone* by_id(ChildId id) const;

  private:
    static constexpr std::uint32_t kSize = 4096;
    template <class Matches>
    const Gone* newest(Matches&& matches) const;
    std::array<Gone, kSize> rows_{};
    std::uint32_t next_ = 0;
};

}  // namespace circus::keeper
