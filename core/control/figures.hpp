// Figures: the command `figures`: what has been counted, and who runs, by watcher. What became of processes
// is counted since circusd was started, the rest since this arbiter runs. Reads what is in memory and nothing
// else, so that it is answered at once whatever there is of it; what processes use of the machine is for
// whoever asks to look up, by their pids. On the loop's thread.
#pragma once

#include <sys/types.h>

#include "base/json.hpp"
#include "bus/bus.hpp"
#include "control/command_registry.hpp"
#include "loop/turn_clock.hpp"
#include "stream/streams.hpp"
#include "supervise/arbiter.hpp"

namespace circus::control {

class Figures {
  public:
    struct Sources {
        const supervise::Arbiter& arbiter;
        const stream::Streams& streams;
        const bus::Bus& bus;
        const loop::TurnClock& turns;
        pid_t keeper;
    };
    Figures(CommandRegistry& registry, const Sources& sources);
    ~Figures();
    Figures(const Figures&) = delete;
    Figures& operator=(const Figures&) = delete;

    Json show() const;

  private:
    Json of_watcher(const supervise::Watcher& watcher) const;

    CommandRegistry& registry_;
    const Sources sources_;
};

}  // namespace circus::control
