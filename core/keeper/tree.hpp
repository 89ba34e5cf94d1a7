// Processes as /proc shows them, read without allocating: children, sessions, marks; and sending a signal to
// one of them that is not a child of ours. Any process may be gone or change between two reads; callers look
// again until nothing new is found. Used by the keeper's one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <sys/types.h>

#include "keeper/spawn_request.hpp"

namespace circus::keeper {

// A process and who its parent was when it was found: what tells it from a later one with the same number.
struct ProcessRef {
    pid_t pid = 0;
    pid_t parent = 0;
};

// A fixed-size list; what does not fit is left out and found by the next look.
class ProcessList {
  public:
    void clear() { size_ = 0; }
    std::size_t size() const { return size_; }
    void add(ProcessRef ref) {
        if (size_ < items_.size()) items_[size_++] = ref;
    }
    bool contains(pid_t pid) const;
    const ProcessRef& operator[](std::size_t i) const { return items_[i]; }
    void drop(std::size_t i) { items_[i] = items_[--size_]; }  // the last one takes its place

  private:
    std::array<ProcessRef, 32768> items_{};
    std::size_t size_ = 0;
};

struct ProcessStat {
    pid_t parent = 0;
    pid_t session = 0;
    char state = '?';      // of its first thread
    unsigned threads = 0;  // those that have not ended, and the first
    // It has begun to end (PF_EXITING, linux/sched.h): its environment can be gone while its children are
    // still its own.
    bool is_exiting = false;
    std::uint64_t start_ticks = 0;  // since boot
};
bool read_stat(pid_t pid, ProcessStat& stat);  // false: gone

// Appends the direct children of a process. From /proc/PID/task/*/children; where the kernel has no such
// file, from a walk over all of /proc, which the second does in any case.
void append_children(pid_t parent, ProcessList& list);
void append_children_by_walk(pid_t parent, ProcessList& list);
// Appends all descendants of the list's items from `first` on, breadth first.
void append_descendants(ProcessList& list, std::size_t first);

// N of CIRCUS_INSTANCE=<instance>.N in the environment that a process was exec'd with; 0: none.
ChildId read_mark(pid_t pid, std::string_view instance);

// Sends a signal to exactly that process: through a pidfd, after looking whether its parent is still the one
// it was found under, or `adopter` (where orphans go). False: it is gone, or it is another one by now.
bool signal_process(const ProcessRef& ref, pid_t adopter, int signo);

}  // namespace circus::keeper
