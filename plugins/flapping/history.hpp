// History: what happened to the processes of one watcher, slot by slot, and what follows from it. Pure: time
// is an argument, nothing is called.
//
// A process that ends unasked leaves its life's length in its slot. `attempts` such deaths flap when the
// processes behind all but the first of them lived no longer than `window` in sum. Only living counts: what
// the back-off puts between two deaths does not hide them. A process that lives longer than the window, dead
// or alive, makes its slot healthy.
//
// Fed by the plugin with events, on the loop's thread. Of a process whose `spawn` it has not seen it knows
// nothing, and holds nothing against it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace flapping {

using Time = std::chrono::nanoseconds;  // of a monotonic clock

struct Limits {
    int attempts = 2;
    Time window{};
    int slots = 1;  // numprocesses
};

class History {
  public:
    void spawned(std::int64_t pid, int wid, Time now) { processes_[pid] = {wid, now, false}; }
    // circusd ends it: what follows is no accident. A pid that is not of a worker is ignored.
    void killed(std::int64_t pid) {
        if (const auto at = processes_.find(pid); at != processes_.end()) at->second.asked = true;
    }
    // True: it ended unasked, and is to be judged.
    bool reaped(std::int64_t pid, Time now);
    void forget_deaths() { slots_.clear(); }

    // The slots that flap, by wid.
    std::vector<int> flapping(const Limits& limits, Time now);
    // Has each of the other slots a process that has lived longer than the window?
    bool others_are_healthy(const std::vector<int>& flapping, const Limits& limits, Time now) const;
    // Did any process live longer than the window, since the last time this was asked?
    bool take_healthy(const Limits& limits);

  private:
    struct Process {
        int wid = 0;
        Time born{};
        bool asked = false;
    };
    struct Slot {
        std::deque<Time> lives;  // of processes that ended unasked, oldest first
    };
    static constexpr std::size_t kMostLives = 1000;  // of one slot, between two judgements

    bool flaps(int wid, const Slot& slot, const Limits& limits, Time now) const;
    bool is_healthy(int wid, const Limits& limits, Time now) const;

    std::map<std::int64_t, Process> processes_;
    std::map<int, Slot> slots_;
    Time longest_{};
};

}  // namespace flapping
