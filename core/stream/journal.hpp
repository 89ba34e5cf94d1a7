// Journal: where bytes are between a worker's pipe and the file they end in, in memory that outlives the
// process: a memfd and a pipe that the keeper holds. Whoever takes over finds in it what was under way, and
// writes what was not written yet.
//
// A batch goes: the bytes are moved (not copied) from the worker's pipe into the journal's own, where they
// are alone; from there into the journal's memory; whole lines are written; what is left of an unfinished
// line is kept; done. Each step is noted when it was taken, and at each it can be told what has become of the
// bytes:
//
//   Idle     nothing is under way
//   Taking   from `pipe`: they are there, or in the journal's pipe
//   Taken    `size` bytes: in the journal's pipe, or (it is empty) in memory
//   Writing  they are in memory; of a regular file its size says how much of them is in it, and where they
//            go on in another file, it is noted which and how much there was before
//   Written  what is missing is to keep the unfinished line
//
// Beside it: the unfinished line of each pipe, and the backlog of each sink that does not take bytes at once,
// with the same note while it is being written. A backlog that changes is written beside the one that was,
// and then takes its place; so are the notes of where: at each instant one of two is whole.
//
// Used by the pump's thread. One process at a time: two would take each other's bytes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "stream/spec.hpp"

namespace circus::stream {

class Journal {
  public:
    // What the keeper holds of it.
    struct Parts {
        UniqueFd memory, read_end, write_end;
        explicit operator bool() const { return memory && read_end && write_end; }
    };
    static Result<Parts> make_parts();
    // The parts may be those of a process that has ended.
    static Result<std::unique_ptr<Journal>> open(Parts parts);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    // ---- a batch ----
    enum class Took { Some, Nothing, End };
    // From the worker's pipe; `bytes` is valid until done().
    Took take(PipeId pipe, int fd, std::string_view& bytes);
    // The bytes begin to be written, behind this place of a regular file (size of one that is none: 0, 0, 0).
    struct Place {
        std::uint64_t device = 0, inode = 0, size = 0;
        // Where they go on in another file: what is in those before. Of a batch whole pieces (calls of
        // Sink::write) and lines of the next; of a backlog bytes.
        std::uint64_t pieces = 0, lines = 0, bytes = 0;
    };
    void writing(const Place& place);
    // They go on behind this place. Any number of times between writing() and done().
    void moved(const Place& place);
    // They are with their sink; `unfinished` is what is left of a line, `grown` of which came last.
    void done(PipeId pipe, std::string_view unfinished, std::size_t grown);
    // A line that is finished without further bytes, or a pipe that is gone.
    void forget(PipeId pipe);

    // What a sink has and could not write yet; empty: nothing.
    void backlog(const std::string& sink, std::string_view bytes);
    // It is being written, or goes on, behind this place, until it is told anew.
    void writing_backlog(const std::string& sink, const Place& place);

    // ---- what the process before has left; once, before the first batch ----
    struct Left {
        PipeId pipe = 0;
        std::string bytes;       // of the batch that was under way
        std::string unfinished;  // before it
        Place place;             // where it was being written, if it was
        bool writing = false;    // it was
        bool written = false;    // only the unfinished line is missing
    };
    std::optional<Left> left();
    std::string unfinished_of(PipeId pipe) const;
    std::string backlog_of(const std::string& sink) const;
    Place place_of_backlog(const std::string& sink) const;  // where it was being written, if it was

  private:
    struct Head;
    struct LineHead;
    struct BacklogHead;
    explicit Journal(Parts parts, void* memory);
    Head& head() const;
    LineHead& line(std::size_t at) const;
    char* line_text(std::size_t at) const;
    BacklogHead& backlog_head(std::size_t at) const;
    char* backlog_text(std::size_t at, bool other) const;
    Place* backlog_places(std::size_t at) const;
    char* batch() const;
    bool drain(std::size_t size);
    void set(std::uint32_t phase);
    std::optional<std::size_t> line_of(PipeId pipe);
    void free_line(PipeId pipe);

    Parts parts_;
    char* const memory_;
    UniqueFd null_;
    std::unordered_map<PipeId, std::size_t> lines_;  // where the unfinished line of a pipe is
    std::vector<std::size_t> free_lines_;
    std::size_t unused_lines_ = 0;                             // from here on none was ever used
    std::unordered_map<std::uint64_t, std::size_t> backlogs_;  // by the hash of the sink's name
};

}  // namespace circus::stream
