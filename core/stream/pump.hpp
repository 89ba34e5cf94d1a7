// Pump: the thread that moves bytes from pipes to sinks. It owns pipes and sinks; the loop's side gives it
// commands and gets facts back through Events, which are called on the pump's thread.
//
// One round: wait for a readable pipe, a command or a due time; carry out commands; read each readable pipe
// once; retry what is due. A pipe whose sink is not ready is not polled until it is. Nothing wakes the thread
// while nothing happens.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/pattern.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "stream/compressor.hpp"
#include "stream/journal.hpp"
#include "stream/pipe.hpp"
#include "stream/sink.hpp"
#include "stream/sink_class.hpp"
#include "stream/spec.hpp"

namespace circus::stream {

class Pump {
  public:
    struct Events {
        // With the last that came of it, if it is a stderr.
        std::function<void(PipeId, std::optional<std::string> last)> drained;
        std::function<void(Trouble)> trouble;
        std::function<void(PipeId)> found;  // the line that was watched for
    };

    // Makes the thread; it shares the Pump. `journal` may be null: then what is between a pipe and its sink
    // when the process is killed is lost.
    static Result<std::shared_ptr<Pump>> run(Events events, int stdout_fd,
                                             std::unique_ptr<Journal> journal = {});

    // ---- from any thread ----
    // `request.spec.filename` is absolute. `read_end` is non-blocking.
    void add(PipeId id, UniqueFd read_end, SinkRequest request);
    void watch(PipeId id, Pattern pattern);  // for a line; before start()
    void start(PipeId id, pid_t pid);
    void finish(PipeId id);  // drained(id) follows, also for an id that ended or is unknown
    void discard(PipeId id);
    void reopen_files();
    // What goes to any sink goes there too; a request without a key ends it.
    void copy(SinkRequest request);
    // Drains, ends the thread and waits for it, little longer than `limit`. False: something was not written.
    bool stop(Milliseconds limit);

  private:
    struct Command {
        enum class Kind { Add, Watch, Start, Finish, Discard, Reopen, Copy, Stop } kind;
        PipeId id = 0;
        pid_t pid = 0;
        UniqueFd fd{};
        SinkRequest request{};
        TimePoint deadline{};
        std::optional<Pattern> pattern{};
    };

    Pump(Events events, int stdout_fd, std::unique_ptr<Journal> journal);
    void post(Command command);

    void serve();
    Milliseconds time_to_next(TimePoint now) const;
    void wait(Milliseconds limit);
    void nap_after_small_rounds();
    void carry_out_commands();
    void carry_out(Command& command);
    void begin_to_read(PipeId id, pid_t pid);
    void begin_to_finish(PipeId id);
    void end_overdue(TimePoint now);
    void close_unused(TimePoint now);
    bool drain_everything(TimePoint deadline);

    void read(Pipe& pipe);
    Pipe::Read read_batch(Pipe& pipe, std::size_t& bytes);
    Pipe::Read take_batch(Pipe& pipe, std::size_t& bytes);
    void read_rest(Pipe& pipe);
    void flush(Pipe& pipe);
    bool waits_for_left(const Pipe& pipe);
    void finish_left(Pipe& pipe);
    void note_place(const Sink& sink, const Journal::Place& place);
    void note_backlog(Sink& sink);
    void restore_backlog(Sink& sink);
    void resume(Sink& sink, TimePoint now);
    void poll_pipe(Pipe& pipe, bool wanted);
    void end(PipeId id);
    void forget(PipeId id);
    Pipe* find(PipeId id);

    Sink& sink_for(const SinkRequest& request);
    void set_copy(const SinkRequest& request);
    void attend_to(Sink& sink);
    void resume_sinks(TimePoint now);
    void poll_sink(Sink& sink);
    void stop_polling(Sink& sink);
    void release(Sink& sink);

    const Events events_;
    const int stdout_fd_;
    UniqueFd epoll_, wake_;
    std::thread thread_;

    std::mutex mutex_;  // commands_, finished_, all_written_
    std::vector<Command> commands_;
    std::condition_variable over_;
    bool finished_ = false;
    bool all_written_ = false;

    // ---- the thread's own ----
    const std::unique_ptr<Journal> journal_;
    std::optional<Journal::Left> left_;  // of the process before, until its pipe is here
    TimePoint left_until_{};
    // What is being written, as the journal has it: a batch or a backlog of this sink's.
    enum class Writing { Nothing, Batch, Backlog } writing_ = Writing::Nothing;
    const Sink* written_ = nullptr;
    class WritingGuard;
    Compressor compressor_;
    std::unordered_map<PipeId, std::unique_ptr<Pipe>> pipes_;
    std::unordered_map<PipeId, std::string> ended_;  // of those that ended before they were to finish: last_
    std::unordered_map<std::string, std::unique_ptr<Sink>> sinks_;  // by their key
    std::unordered_set<Sink*> attended_;                            // those with something to wait for
    std::deque<std::pair<TimePoint, PipeId>> deadlines_;            // of finishing pipes, in order
    std::deque<std::pair<TimePoint, std::string>> unused_;          // when to look at which sink, in order
    Sink* copy_ = nullptr;                                          // of all pipes; null: none
    std::vector<char> scratch_;
    std::size_t round_bytes_ = 0;
    int small_rounds_ = 0;
    TimePoint window_start_{};  // of the rate that decides about napping
    std::size_t window_bytes_ = 0;
    bool is_bulk_ = false;
    std::optional<TimePoint> stopping_;
};

}  // namespace circus::stream
