// LoadWatch: looks at how many connections the slots of sockets that are steered by load have, waiting and in
// hand, and feeds it to those who steer. The looks at the kernel's table are done in the worker's thread, one
// round at a time: every kPeriod, or less often where a look takes the kernel long, so that all of them take
// no more than one in kShare of a processor. What was given between two rounds counts anyway (steering.hpp).
// Where nothing came since the last round and nothing was there then, nothing is looked at; a stack without
// such a socket pays nothing at all.
//
// Driven by Arbiter, on the loop's thread. A new arbiter starts with nothing and looks anew.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "supervise/ports.hpp"
#include "supervise/sockets.hpp"

namespace circus::supervise {

class LoadWatch {
  public:
    static constexpr Milliseconds kPeriod{250};
    static constexpr Milliseconds kLongestPeriod{2000};
    static constexpr int kShare = 1000;
    // After a round that took so much of a processor, from its begin to the next one's.
    static Duration period_after(Duration cost);

    // `worker` null: nobody can look.
    LoadWatch(WorkerPort* worker, SocketTable& sockets) : worker_(worker), sockets_(sockets) {}

    // When to look; nothing: never, as things are.
    std::optional<TimePoint> next() const { return next_; }
    // The sockets or the configuration may be others.
    void want(TimePoint now);
    void look(TimePoint now);

  private:
    using Round = std::vector<SocketTable::Measured>;
    static void measure(SocketTable::Measured& measured);
    bool is_quiet(const Round& round) const;

    WorkerPort* const worker_;
    SocketTable& sockets_;
    std::optional<TimePoint> next_;
    Duration period_ = kPeriod;
    bool busy_ = false;  // a round is under way
    Round last_;         // without the descriptors
};

}  // namespace circus::supervise
