// LoadWatch: looks every kPeriod at what the slots of sockets that are steered by load have, waiting and in
// hand, and feeds it to those who steer. The looks at the kernel's tables and at /proc are done in the
// worker's thread, one round at a time. Where nothing came since the last round and nothing was there then,
// nothing is looked at; a stack without such a socket pays nothing at all.
//
// Driven by Arbiter, on the loop's thread. A new arbiter starts with nothing and looks anew.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <sys/types.h>
#include <vector>

#include "base/clock.hpp"
#include "supervise/ports.hpp"
#include "supervise/sockets.hpp"

namespace circus::supervise {

class LoadWatch {
  public:
    static constexpr Milliseconds kPeriod{250};
    // The processes of each slot: an old and a new one share a listener during a reload.
    using Workers = std::map<SocketTable::SlotKey, std::vector<pid_t>>;

    // `worker` null: nobody can look.
    LoadWatch(WorkerPort* worker, SocketTable& sockets) : worker_(worker), sockets_(sockets) {}

    // When to look; nothing: never, as things are.
    std::optional<TimePoint> next() const { return next_; }
    // The sockets or the configuration may be others.
    void want(TimePoint now);
    void look(TimePoint now, Workers workers);

  private:
    using Round = std::vector<SocketTable::Measured>;
    static void measure(SocketTable::Measured& measured, const Workers& workers);
    bool is_quiet(const Round& round) const;

    WorkerPort* const worker_;
    SocketTable& sockets_;
    std::optional<TimePoint> next_;
    bool busy_ = false;  // a round is under way
    Round last_;         // without the descriptors
};

}  // namespace circus::supervise
