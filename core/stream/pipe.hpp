// Pipe: the read end of one worker's stdout or stderr, and its unfinished line. Passive: Pump says when to
// read; whole lines go to the sink in as large pieces as the pipe gives.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <utility>

#include "base/unique_fd.hpp"
#include "stream/last_bytes.hpp"
#include "stream/last_lines.hpp"
#include "stream/line_prefix.hpp"
#include "stream/line_watch.hpp"
#include "stream/output_count.hpp"
#include "stream/sink.hpp"

namespace circus::stream {

constexpr std::size_t kReadSize = 256 * 1024;
constexpr std::size_t kMaxLine = 64 * 1024;  // a longer line is handed on in pieces

class Pipe {
  public:
    // `drops`: what a slow sink does not take is lost (and counted there), the worker never waits.
    Pipe(PipeId id, UniqueFd read_end, Sink& sink, LinePrefix prefix, bool drops)
        : id_(id), fd_(std::move(read_end)), sink_(sink), prefix_(std::move(prefix)), drops_(drops) {}

    PipeId id() const { return id_; }
    int fd() const { return fd_.get(); }
    Sink& sink() { return sink_; }
    void set_pid(pid_t pid) {
        pid_ = pid;
        prefix_.set_pid(pid);
    }
    bool may_be_read() const { return drops_ || sink_.is_ready(); }

    enum class Read { Some, Nothing, End };
    // Reads once into `scratch` and hands on what is whole. `bytes`: how many came.
    Read read(std::span<char> scratch, std::size_t& bytes);
    // Reads what is in the pipe at this moment, whether or not the sink is ready, and not what is written
    // meanwhile.
    void read_rest(std::span<char> scratch);
    // Takes bytes that somebody else has read from it: as read() does.
    void take(std::string_view bytes);
    // The line that has not ended, and how much of it the last take() brought.
    std::string_view unfinished() const { return partial_; }
    std::size_t grown() const { return grown_; }
    // What another process has read of a line.
    void restore(std::string unfinished) { partial_ = std::move(unfinished); }
    // Nothing is handed on meanwhile: it was.
    void mute(bool on) { muted_ = on; }
    // Hands on the unfinished line. After the last read.
    void flush();

    // Looks at each line until one matches; then found() is true, once.
    void watch(LineWatch line_watch) { watch_.emplace(std::move(line_watch)); }
    bool found() { return std::exchange(found_, false); }

    // Keeps the end of what comes from now on.
    void keep_last() { last_.emplace(); }
    std::optional<std::string> take_last() {
        return last_ ? std::optional(std::move(*last_).text()) : std::nullopt;
    }

    // Gets what the sink gets, as long as it is ready: nobody waits for it.
    Sink* copy = nullptr;

    std::shared_ptr<OutputCount> count;  // null: nobody counts
    std::shared_ptr<LastLines>
        last_lines;  // get what the sink gets, without its prefix; null: nobody keeps it

    // For Pump's book-keeping.
    bool is_polled = false;
    bool is_waiting = false;  // for its sink
    bool is_finishing = false;

  private:
    void write(std::string_view first, std::string_view second, bool ends_line);
    void hand_on(std::string_view first, std::string_view second, bool ends_line, bool is_last = false);

    PipeId id_;
    pid_t pid_ = 0;
    UniqueFd fd_;
    Sink& sink_;
    LinePrefix prefix_;
    const bool drops_;
    std::optional<LineWatch> watch_;
    bool found_ = false;
    std::optional<LastBytes> last_;
    std::string partial_;
    std::size_t grown_ = 0;
    bool muted_ = false;
    std::string prefixed_;  // kept for its capacity
};

}  // namespace circus::stream
