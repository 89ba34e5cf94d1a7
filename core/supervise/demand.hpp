// Demand: which on_demand watchers wait on which descriptors. Driven by Arbiter: await() after each settle of
// a watcher, hit() when the port says that something came in. A descriptor is with the port exactly while
// somebody waits on it.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "supervise/ports.hpp"

namespace circus::supervise {

class Watcher;

class Demand {
  public:
    explicit Demand(ReadinessPort& port) : port_(port) {}

    // From now on the watcher waits on these and no others. An error: on fewer, and a later call tries again.
    Status await(Watcher& watcher, const std::vector<int>& fds);
    // Who waits on it. None of them does any more, on this one.
    std::vector<Watcher*> hit(int fd);
    void closing(int fd) { hit(fd); }

  private:
    ReadinessPort& port_;
    std::map<int, std::vector<Watcher*>> waiting_;
    std::set<const Watcher*> waiters_;  // those whose last await() had any
};

}  // namespace circus::supervise
