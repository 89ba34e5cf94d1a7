// Ring: the last lines of one watcher's stdout or stderr, in memory. Written by the pump's thread, read by
// the loop's; neither waits for longer than a copy of what an answer may hold.
//
// Each line has a number. A cursor (cursor.hpp) is the ring's own mark and a number: who gives back the one
// that came with the last answer gets the lines after that, and learns how many were overwritten before they
// could be read. A cursor of another ring, from before the watcher was added anew, means all there is.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "stream/tail.hpp"

namespace circus::stream {

class Ring {
  public:
    static constexpr std::size_t kMaxBytes = 16 * 1024 * 1024;

    explicit Ring(std::size_t lines);

    const std::string& mark() const { return mark_; }
    void resize(std::size_t lines);
    // Whole lines, or a piece of one that is longer than a pipe keeps; the last may lack its newline.
    void append(pid_t pid, double time, std::string_view text);
    Tail read(const TailQuery& query) const;

  private:
    void trim();
    std::size_t first_after(const TailQuery& query, Tail& tail) const;
    std::size_t first_of_last(const TailQuery& query) const;

    const std::string mark_;
    mutable std::mutex mutex_;  // all below
    std::size_t capacity_;
    std::deque<Tail::Line> lines_;
    std::size_t bytes_ = 0;
    std::uint64_t first_ = 0;  // the number of the front
};

}  // namespace circus::stream
