// LastLines: the end of what each process of a watcher has written to its stdout, or to its stderr, whatever
// the class of the stream: what `logs` shows where no Ring (ring.hpp) keeps more. Written by the pump's
// thread, read by the loop's; neither waits for longer than a copy of what an answer may hold.
//
// Takes memory as lines come, and for each process no more than kMost of it, so that one that writes much
// does not push out what another has said; those that are gone have as much together, the last of them first.
// Lines have one count, whoever wrote them, by which cursors (cursor.hpp) go. Of a line that is longer than
// all there is room for its end is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "stream/spec.hpp"
#include "stream/tail.hpp"

namespace circus::stream {

class LastLines {
  public:
    static constexpr std::size_t kMost = 32 * 1024;  // bytes, what it costs to hold them included

    LastLines();

    // Both in that order, as a pipe hands them on: whole lines, or the piece of one that is too long for it;
    // the last may lack its newline.
    void append(PipeId pipe, pid_t pid, std::string_view first, std::string_view second);
    void left(PipeId pipe);  // nothing more comes from it
    Tail read(const TailQuery& query) const;

  private:
    struct Piece {
        std::uint64_t first = 0;  // the number of its first line
        std::uint64_t lines = 0;
        double time = 0;
        std::string text;
        std::size_t cost() const { return sizeof(Piece) + text.size(); }
        std::uint64_t end() const { return first + lines; }
    };
    struct Process {
        pid_t pid = 0;
        std::deque<Piece> pieces{};
        std::size_t bytes = 0;
    };
    struct Kept {
        const Piece* piece;
        pid_t pid;
    };
    void take(Process& process, double time, std::string_view text);
    static std::size_t drop_first(Process& process);  // what it cost
    // Those that do not end before the line of that number, in their order.
    std::vector<Kept> kept_from(std::uint64_t number) const;
    Tail last(const TailQuery& query) const;
    Tail after(const TailQuery& query, std::uint64_t number) const;

    const std::string mark_;
    mutable std::mutex mutex_;  // all below
    std::map<PipeId, Process> processes_;
    std::deque<PipeId> gone_;  // of them those that are gone, in that order
    std::size_t gone_bytes_ = 0;
    std::uint64_t next_ = 0;
};

}  // namespace circus::stream
