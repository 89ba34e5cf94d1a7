// MemoryWatch: looks every kPeriod at what the processes of watchers with a memory_soft or memory_max use,
// and tells those watchers. The looks at /proc are done in the worker's thread, one round at a time; a stack
// in which nobody has such a limit pays nothing.
//
// Driven by Arbiter, on the loop's thread. A new arbiter starts with nothing and looks anew.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "supervise/ports.hpp"

namespace circus::supervise {

class MemoryWatch {
  public:
    static constexpr Milliseconds kPeriod{2000};

    struct Subject {
        ChildId id = 0;
        pid_t pid = 0;
    };
    using Uses = std::map<ChildId, std::uint64_t>;  // bytes, resident, descendants included
    // `worker` null: nobody can look.
    explicit MemoryWatch(WorkerPort* worker) : worker_(worker) {}

    // When to look; nothing: never, as things are.
    std::optional<TimePoint> next() const { return next_; }
    // Whether there is anybody to look at, from now on.
    void want(bool wanted, TimePoint now);
    // Time has come. `told` is called on the loop's thread, later.
    void look(TimePoint now, std::vector<Subject> subjects, std::function<void(const Uses&)> told);

  private:
    WorkerPort* const worker_;
    std::optional<TimePoint> next_;
    bool busy_ = false;  // a round is under way
};

}  // namespace circus::supervise
