// Sink: where lines end up. Owned and driven by Pump, on the pump's thread. A sink never blocks for longer
// than a local disk takes, never fails and never loses its place: what it cannot write now waits in its
// backlog, bounded by kMaxBacklog; beyond that it drops, and counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "stream/journal.hpp"
#include "stream/spec.hpp"

namespace circus::stream {

constexpr std::size_t kMaxBacklog = 512 * 1024;
constexpr Milliseconds kSinkRetry{1000};

class Sink {
  public:
    using Report = std::function<void(Trouble)>;

    virtual ~Sink() = default;

    // False: it has enough for now; leave the bytes in their pipes (where the worker feels it) until it is
    // ready again. A sink in trouble is ready: nobody waits for a full disk.
    virtual bool is_ready() const = 0;
    // The last bytes here are `owner`'s, of a line that has not ended.
    virtual bool continues(PipeId owner) const = 0;
    // Takes `first` and `second`, in that order, as one piece of `owner`'s. `ends_line`: it ends with a
    // newline.
    virtual void write(PipeId owner, std::string_view first, std::string_view second, bool ends_line) = 0;
    // Retries what is due. Called when next_time() has come, or the descriptor of wait_fd() is writable.
    virtual void resume(TimePoint now) = 0;
    virtual std::optional<TimePoint> next_time() const = 0;
    virtual int wait_fd() const = 0;  // becomes writable when the backlog can shrink; -1: nothing to wait for
    virtual bool is_empty() const = 0;  // nothing in the backlog
    virtual void reopen() = 0;          // USR1
    // A pipe that feeds it is read from now on, and not any more.
    virtual void joined(PipeId, pid_t) {}
    virtual void left(PipeId) {}
    // Something goes on that is better not cut off, although the backlog is empty.
    virtual bool is_busy() const { return false; }
    // It counts the pump's eventfd up when resume() has something to do.
    virtual bool wakes_pump() const { return false; }
    // So many bytes it did not take, ever.
    virtual std::uint64_t dropped() const { return 0; }
    // For whoever comes after this process (journal.hpp). Where the next bytes go, in a regular file with
    // nothing in the backlog; a batch begins, whose pieces and lines are counted from here on.
    virtual Journal::Place place() { return {}; }
    // The same of the backlog, which is written next.
    virtual Journal::Place place_of_backlog() { return {}; }
    // Called before and after what is written goes on in another file, unless some of it waits in the
    // backlog; null: nobody asks.
    std::function<void(const Journal::Place&)> moved{};
    virtual std::string unwritten() const { return {}; }  // the backlog
    // At the begin: so far somebody else has written what is given to write() next, until this is called with
    // an empty place.
    virtual void resume_behind(const Journal::Place&) {}
    // The last call: what is in the backlog is given up, and reported.
    virtual void give_up() = 0;

    // For Pump's book-keeping.
    std::string key{};
    bool is_noted = false;        // its backlog, in the journal
    int users = 0;                // pipes
    TimePoint unused_since{};     // when the last of them went
    std::vector<PipeId> waiting;  // pipes that are not read until this is ready
    int polled_fd = -1;           // wait_fd() as the pump's epoll knows it
};

// The unfinished line at a sink's end. When somebody else's bytes come next, the line is ended before them: a
// worker that died in the middle of a line costs the next one nothing.
class OpenLine {
  public:
    bool is_of(PipeId owner) const { return owner_ == owner; }
    std::string_view separator(PipeId next) const { return owner_ != 0 && owner_ != next ? "\n" : ""; }
    void wrote(PipeId owner, bool ends_line) { owner_ = ends_line ? 0 : owner; }

  private:
    PipeId owner_ = 0;
};

// One condition of a sink: says once that it begins and once that it is over. One that comes and goes with
// each batch is told once a second, not once a batch: it is over when nothing was lost for so long.
class Condition {
  public:
    bool is_active() const { return active_; }
    std::uint64_t lost() const { return lost_; }
    std::uint64_t lost_ever() const { return lost_ever_; }
    void lose(std::size_t bytes) {
        lost_ += bytes;
        lost_ever_ += bytes;
        if (bytes > 0) calm_at_ = Monotonic::now() + kSinkRetry;
    }
    TimePoint calm_at() const { return calm_at_; }
    void begin(const Sink::Report& report, const std::string& target, std::string text) {
        if (active_) return;
        active_ = true;
        report({target, true, std::move(text), 0});
    }
    void end(const Sink::Report& report, const std::string& target) {
        if (!active_) return;
        active_ = false;
        report({target, false, {}, std::exchange(lost_, 0)});
    }

  private:
    bool active_ = false;
    std::uint64_t lost_ = 0;
    std::uint64_t lost_ever_ = 0;
    TimePoint calm_at_{};
};

}  // namespace circus::stream
