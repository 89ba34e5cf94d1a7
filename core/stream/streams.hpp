// Streams: what workers write, from their pipes to files, to the daemon's stdout, to memory, or to a class
// that was offered at run time. This is the loop's side; the work is done by Pump on a thread of its own,
// started with the first pipe. Every method and callback belongs to the loop's thread, and none blocks
// (shutdown() excepted).
//
// A pipe goes: open() -> start() -> finish() -> its `done`; or open() -> discard(). Lines are whole: a line
// is handed to its sink at its newline, so that workers that share a file never mix theirs. A partial line is
// handed on at the end of the pipe, or at 64 KiB.
//
// A sink that is slow holds up the pipes that feed it, and nothing else. A sink that fails (full disk,
// missing directory) is tried again each second, drops what exceeds its bounded backlog, and says so through
// `trouble` once when it begins and once when it ends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <utility>

#include "base/clock.hpp"
#include "base/pattern.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "loop/inbox.hpp"
#include "loop/loop.hpp"
#include "stream/journal.hpp"
#include "stream/last_lines.hpp"
#include "stream/loop_sinks.hpp"
#include "stream/output_count.hpp"
#include "stream/ring.hpp"
#include "stream/spec.hpp"

namespace circus::stream {

struct StreamsOptions {
    std::function<void(const Trouble&)> trouble;
    int stdout_fd = 1;
    // Asked when the first pipe is opened. Nothing: there is no journal.
    std::function<Journal::Parts()> journal = {};
};

class Pump;
struct SinkRequest;

class Streams {
  public:
    struct Pipe {
        PipeId id = 0;
        UniqueFd write_end;  // for the child; close it once the request is on its way
        int read_end = -1;   // borrowed; open until finish() or discard()
    };

    Streams(loop::Loop& loop, StreamsOptions options);
    ~Streams();  // shutdown(1 s)
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;

    // Sinks are shared by everything that writes to the same file; the latest spec's rotation applies.
    Result<Pipe> open(const StreamSpec& spec);
    // Between the two: `found` is called once, when a line of it matches.
    void watch(PipeId id, Pattern pattern, std::function<void()> found);
    // A pipe that another process has read, under the id it had there.
    Status adopt(PipeId id, const StreamSpec& spec, UniqueFd read_end);
    // The process runs: begin to read. `pid` is for the prefix.
    void start(PipeId id, pid_t pid);
    // The process was reaped: read on to the end of the pipe, 100 ms at the most (a grandchild may hold it),
    // then `done`.
    // With the last that came of it, if it is a stderr.
    using Drained = std::function<void(const std::optional<std::string>& last)>;
    void finish(PipeId id, Drained done);
    void discard(PipeId id);  // the spawn failed; what was written is dropped
    void reopen_files();
    // Whether what goes into a stream goes to the daemon's stdout as well, as far as that takes it at once.
    void copy_to_stdout(bool on);
    // Takes what is in the pipes, writes it out and ends the thread. False: not everything could be written
    // within `limit`. No pipe can be opened afterwards, and no `done` comes.
    bool shutdown(Milliseconds limit);

    // The last lines of a watcher; nothing: no pipe of it was ever opened.
    std::optional<Tail> tail(const std::string& watcher, Channel channel, const TailQuery& query) const;
    struct Counted {
        std::uint64_t bytes = 0, dropped = 0;
    };
    // Since the first of its pipes was opened.
    Counted counted(const std::string& watcher, Channel channel) const;
    // The watcher is gone: so is what was kept of its output.
    void forget(const std::string& watcher);

    // A class of streams beside circusd's own; it outlives this, or is withdrawn. (loop_sink.hpp)
    void offer(const std::string& class_name, LoopSinkClass& sinks) { loop_sinks_.offer(class_name, sinks); }
    void withdraw(const std::string& class_name) { loop_sinks_.withdraw(class_name); }
    void ready(const LoopSink& sink) { loop_sinks_.ready(sink); }  // it takes more; nothing is called inside
    // It takes nothing and says why, or (empty) takes lines again. As with every sink in trouble no worker
    // waits.
    void trouble(const LoopSink& sink, const std::string& why) { loop_sinks_.trouble(sink, why); }
    // Of what workers have written nothing is on its way to a class that takes it.
    bool is_delivered() const { return loop_sinks_.is_delivered(); }

  private:
    using Source = std::pair<std::string, Channel>;  // a watcher's name and one of its two outputs
    struct User {
        std::string sink;
        std::string watcher;
    };
    Result<SinkRequest> request_for(const StreamSpec& spec);
    Result<std::shared_ptr<Pump>> run_pump();
    Status start_pump();  // unless it runs
    void tell(Trouble trouble);

    std::shared_ptr<StreamsOptions> options_;
    std::unordered_map<PipeId, Drained> finishing_;
    std::unordered_map<PipeId, std::function<void()>> watches_;
    std::unordered_map<PipeId, User> users_;                   // of the pipes there are
    std::map<std::string, std::set<std::string>> troubled_;    // by sink, whom it was told of
    std::map<Source, std::shared_ptr<Ring>> rings_;            // shared with their sinks
    std::map<Source, std::shared_ptr<LastLines>> last_lines_;  // of those without a ring; with their pipes
    std::map<Source, std::string> colors_;                     // drawn by lot
    std::map<Source, std::shared_ptr<OutputCount>> counts_;    // shared with their pipes
    loop::Inbox inbox_;
    LoopSinks loop_sinks_;
    std::shared_ptr<Pump> pump_;  // shared with its thread; empty until the first pipe
    PipeId next_id_ = 1;
    bool is_shut_down_ = false;
    bool copies_ = false;
};

}  // namespace circus::stream
