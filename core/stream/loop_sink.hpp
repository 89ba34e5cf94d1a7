// LoopSink: where lines end up that is not the pump's business: a class that is offered at run time. Its code
// runs on the loop's thread, which it must not hold up. What it does not take waits, bounded like any sink's
// backlog.
//
// A class is offered to Streams under its name and may be withdrawn, also while watchers use it; what they
// write then waits for the next offer, as far as the bound allows, and the rest is dropped and counted.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "stream/spec.hpp"

namespace circus::stream {

// Whole lines of one process, or a piece of one that is longer than a pipe keeps.
struct Chunk {
    std::string watcher;
    Channel channel = Channel::Stdout;
    pid_t pid = 0;
    double time = 0;  // seconds since the epoch
    std::string bytes;
};

class LoopSink {
  public:
    virtual ~LoopSink() = default;
    // Takes some or all of them, from the first on, and says how many; also a last time when its class is
    // withdrawn. When it took fewer, Streams::ready() brings the others, from the first that it did not take
    // on.
    virtual std::size_t write(std::span<const Chunk> chunks) = 0;
};

class LoopSinkClass {
  public:
    virtual ~LoopSinkClass() = default;
    // For the output of one watcher. `spec.options` are those of the class, as JSON text.
    virtual Result<std::unique_ptr<LoopSink>> open(const StreamSpec& spec) = 0;
};

}  // namespace circus::stream
