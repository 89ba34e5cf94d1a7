// Long because it is one round and its bookkeeping; what has a side of its own is in pump_end.cc and
// pump_journal.cc.
#include "stream/pump.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>

#include "stream/signals.hpp"

namespace circus::stream {

namespace {

constexpr Milliseconds kLeftTime{5000};          // for the pipe of what was left to be taken over
constexpr Milliseconds kDrainTime{100};          // after the reaping; a grandchild may hold the pipe
constexpr std::chrono::seconds kKeepOpen{10};    // a file that no pipe uses: its next worker is near
constexpr std::chrono::seconds kKeepTrying{60};  // … and which holds bytes that cannot be written
constexpr std::size_t kSmallRound = 16 * 1024;
constexpr timespec kNap{0, 200'000};
// Bytes a second; a pipe of 256 KiB is then full in little more than a nap. Measured over the last window.
constexpr double kBulkRate = 400e6;
constexpr Milliseconds kRateWindow{2};
// What an epoll event belongs to, where it is no PipeId.
constexpr std::uint64_t kWakeTag = 0;
constexpr std::uint64_t kSinkTag = ~std::uint64_t{0};

}  // namespace

Pump::Pump(Events events, int stdout_fd, std::unique_ptr<Journal> journal)
    : events_(std::move(events)),
      stdout_fd_(stdout_fd),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      journal_(std::move(journal)),
      compressor_(wake_.get()),
      scratch_(journal_ ? 0 : kReadSize) {
    if (!journal_) return;
    left_ = journal_->left();
    left_until_ = Monotonic::now() + kLeftTime;
}

Result<std::shared_ptr<Pump>> Pump::run(Events events, int stdout_fd, std::unique_ptr<Journal> journal) {
    const std::shared_ptr<Pump> pump(new Pump(std::move(events), stdout_fd, std::move(journal)));
    epoll_event event{EPOLLIN, {.u64 = kWakeTag}};
    if (!pump->epoll_ || !pump->wake_ ||
        epoll_ctl(pump->epoll_.get(), EPOLL_CTL_ADD, pump->wake_.get(), &event) != 0)
        return sys_error("cannot watch the workers' output", errno);
    try {
        const AllSignalsBlocked guard;
        pump->thread_ = std::thread([pump] { pump->serve(); });
    } catch (const std::system_error& error) {
        return sys_error("cannot start the thread that reads the workers' output", error.code().value());
    }
    return pump;
}

void Pump::post(Command command) {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
    if (commands_.size() == 1) eventfd_write(wake_.get(), 1);
}

void Pump::add(PipeId id, UniqueFd read_end, SinkRequest request) {
    post({.kind = Command::Kind::Add, .id = id, .fd = std::move(read_end), .request = std::move(request)});
}
void Pump::watch(PipeId id, Pattern pattern) {
    post({.kind = Command::Kind::Watch, .id = id, .pattern = std::move(pattern)});
}
void Pump::start(PipeId id, pid_t pid) {
    post({.kind = Command::Kind::Start, .id = id, .pid = pid});
}
void Pump::finish(PipeId id) {
    post({.kind = Command::Kind::Finish, .id = id});
}
void Pump::discard(PipeId id) {
    post({.kind = Command::Kind::Discard, .id = id});
}
void Pump::reopen_files() {
    post({.kind = Command::Kind::Reopen});
}

void Pump::copy(SinkRequest request) {
    post({.kind = Command::Kind::Copy, .request = std::move(request)});
}

bool Pump::stop(Milliseconds limit) {
    // The thread keeps to its limit unless a disk holds it inside a write: then it is left behind.
    constexpr Milliseconds kSlack{1000};
    post({.kind = Command::Kind::Stop, .deadline = Monotonic::now() + limit});
    std::unique_lock lock(mutex_);
    const bool finished = over_.wait_for(lock, limit + kSlack, [this] { return finished_; });
    const bool all_written = finished && all_written_;
    lock.unlock();
    if (finished)
        thread_.join();
    else
        thread_.detach();
    return all_written;
}

// ---- the thread ----

void Pump::serve() {
    while (!stopping_) {
        wait(time_to_next(Monotonic::now()));
        const TimePoint now = Monotonic::now();
        resume_sinks(now);
        end_overdue(now);
        close_unused(now);
        nap_after_small_rounds();
    }
    const bool all_written = drain_everything(*stopping_);
    pipes_.clear();
    attended_.clear();
    sinks_.clear();
    const std::lock_guard lock(mutex_);
    all_written_ = all_written;
    finished_ = true;
    over_.notify_one();
}

// -1 ms: nothing is due, ever.
Milliseconds Pump::time_to_next(TimePoint now) const {
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint when) { next = next ? std::min(*next, when) : when; };
    if (!deadlines_.empty()) consider(deadlines_.front().first);
    if (!unused_.empty()) consider(unused_.front().first);
    for (const Sink* sink : attended_)
        if (const auto when = sink->next_time()) consider(*when);
    if (!next) return Milliseconds(-1);
    return std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(*next - now));
}

void Pump::wait(Milliseconds limit) {
    epoll_event events[64];
    const int n = epoll_wait(epoll_.get(), events, std::size(events), static_cast<int>(limit.count()));
    round_bytes_ = 0;
    bool woken = false;
    for (int i = 0; i < n; ++i) {
        const std::uint64_t tag = events[i].data.u64;
        if (tag == kWakeTag)
            woken = true;
        else if (tag == kSinkTag)
            continue;  // resume_sinks() follows
        else if (Pipe* pipe = find(tag))
            read(*pipe);
    }
    // After the pipes: what a Discard drops is not touched any more.
    if (woken) carry_out_commands();
}

// A worker that writes a line at a time would wake this thread for each. After two rounds in a row that
// brought little, the next waits for a moment in which a pipe holds far less than it can. Not when much came
// just before: a worker that writes in bulk fills its pipe within that moment, and would have to wait.
void Pump::nap_after_small_rounds() {
    if (round_bytes_ == 0) {
        small_rounds_ = 0;
        return;
    }
    window_bytes_ += round_bytes_;
    const TimePoint now = Monotonic::now();
    if (const auto window = now - window_start_; window >= kRateWindow) {
        is_bulk_ = to_seconds(window) * kBulkRate < static_cast<double>(window_bytes_);
        window_start_ = now;
        window_bytes_ = 0;
    }
    small_rounds_ = round_bytes_ < kSmallRound ? small_rounds_ + 1 : 0;
    if (small_rounds_ < 2 || is_bulk_ || !deadlines_.empty()) return;
    pollfd wake{wake_.get(), POLLIN, 0};
    ppoll(&wake, 1, &kNap, nullptr);
}

void Pump::carry_out_commands() {
    eventfd_t count = 0;
    eventfd_read(wake_.get(), &count);
    std::vector<Command> commands;
    {
        const std::lock_guard lock(mutex_);
        commands.swap(commands_);
    }
    for (Command& command : commands) carry_out(command);
    // It may be a sink that counted up.
    for (auto& [key, sink] : sinks_)
        if (sink->wakes_pump()) attended_.insert(sink.get());
}

void Pump::carry_out(Command& command) {
    switch (command.kind) {
        case Command::Kind::Add: {
            Sink& sink = sink_for(command.request);
            ++sink.users;
            attend_to(sink);
            const StreamSpec& spec = command.request.spec;
            pipes_.emplace(command.id, std::make_unique<Pipe>(command.id, std::move(command.fd), sink,
                                                              line_prefix(spec), spec.drops_when_slow));
            pipes_.at(command.id)->copy = copy_;
            pipes_.at(command.id)->count = std::move(command.request.count);
            pipes_.at(command.id)->last_lines = std::move(command.request.last_lines);
            if (spec.channel == Channel::Stderr) pipes_.at(command.id)->keep_last();
            break;
        }
        case Command::Kind::Watch:
            if (Pipe* pipe = find(command.id)) pipe->watch(LineWatch(std::move(*command.pattern)));
            break;
        case Command::Kind::Start:
            begin_to_read(command.id, command.pid);
            break;
        case Command::Kind::Finish:
            begin_to_finish(command.id);
            break;
        case Command::Kind::Discard:
            ended_.erase(command.id);
            forget(command.id);
            break;
        case Command::Kind::Reopen:
            for (auto& [name, sink] : sinks_) {
                stop_polling(*sink);
                sink->reopen();
                attend_to(*sink);
            }
            break;
        case Command::Kind::Copy:
            set_copy(command.request);
            break;
        case Command::Kind::Stop:
            stopping_ = command.deadline;
            break;
    }
}

void Pump::begin_to_read(PipeId id, pid_t pid) {
    Pipe* pipe = find(id);
    if (!pipe) return;
    pipe->set_pid(pid);
    pipe->sink().joined(id, pid);
    if (journal_) pipe->restore(journal_->unfinished_of(id));
    if (left_ && left_->pipe == id) finish_left(*pipe);
    poll_pipe(*pipe, true);
}

void Pump::begin_to_finish(PipeId id) {
    Pipe* pipe = find(id);
    if (!pipe) {
        auto last = ended_.extract(id);
        return events_.drained(id, last.empty() ? std::nullopt : std::optional(std::move(last.mapped())));
    }
    if (pipe->is_finishing) return;
    pipe->is_finishing = true;
    deadlines_.emplace_back(Monotonic::now() + kDrainTime, id);
    if (!pipe->is_waiting) poll_pipe(*pipe, true);
}

void Pump::end_overdue(TimePoint now) {
    while (!deadlines_.empty() && deadlines_.front().first <= now) {
        const PipeId id = deadlines_.front().second;
        deadlines_.pop_front();
        if (Pipe* pipe = find(id)) {
            read_rest(*pipe);
            end(id);
        }
    }
    // Those that ended by themselves must not keep the thread waking up.
    while (!deadlines_.empty() && !find(deadlines_.front().second)) deadlines_.pop_front();
}

// ---- pipes ----

Pipe* Pump::find(PipeId id) {
    const auto it = pipes_.find(id);
    return it == pipes_.end() ? nullptr : it->second.get();
}

void Pump::read(Pipe& pipe) {
    Sink& sink = pipe.sink();
    if (!pipe.may_be_read()) {
        // Out of epoll altogether: a hang-up is reported even to those who wait for nothing.
        poll_pipe(pipe, false);
        pipe.is_waiting = true;
        sink.waiting.push_back(pipe.id());
        attended_.insert(&sink);
        return;
    }
    if (waits_for_left(pipe)) return;
    std::size_t bytes = 0;
    const Pipe::Read what = read_batch(pipe, bytes);
    round_bytes_ += bytes;
    if (pipe.found()) events_.found(pipe.id());
    if (what == Pipe::Read::End)
        end(pipe.id());
    else
        attend_to(sink);
}

void Pump::poll_pipe(Pipe& pipe, bool wanted) {
    if (pipe.is_polled == wanted) return;
    pipe.is_polled = wanted;
    epoll_event event{EPOLLIN, {.u64 = pipe.id()}};
    epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, pipe.fd(), &event);
}

// The pipe has given all it will.
void Pump::end(PipeId id) {
    Pipe* pipe = find(id);
    flush(*pipe);
    attend_to(pipe->sink());
    const bool tell = pipe->is_finishing;
    std::optional<std::string> last = pipe->take_last();
    forget(id);
    if (tell)
        events_.drained(id, std::move(last));
    else if (last)
        ended_.emplace(id, std::move(*last));
}

void Pump::forget(PipeId id) {
    Pipe* pipe = find(id);
    if (!pipe) return;
    poll_pipe(*pipe, false);
    Sink& sink = pipe->sink();
    if (pipe->last_lines) pipe->last_lines->left(id);
    pipes_.erase(id);
    sink.left(id);
    release(sink);
}

// ---- sinks ----

Sink& Pump::sink_for(const SinkRequest& request) {
    std::unique_ptr<Sink>& sink = sinks_[request.key];
    if (!sink) {
        auto report = [this, key = request.key](Trouble trouble) {
            trouble.key = key;
            events_.trouble(std::move(trouble));
        };
        sink = make_sink(request, {std::move(report), stdout_fd_, wake_.get(), compressor_});
        sink->key = request.key;
        if (journal_)
            sink->moved = [this, of = sink.get()](const Journal::Place& place) { note_place(*of, place); };
        restore_backlog(*sink);
    }
    configure_sink(*sink, request);
    return *sink;
}

void Pump::set_copy(const SinkRequest& request) {
    Sink* const before = copy_;
    copy_ = request.key.empty() ? nullptr : &sink_for(request);
    if (copy_) ++copy_->users;
    for (auto& [id, pipe] : pipes_) pipe->copy = copy_;
    if (before) release(*before);
}

// Whether there is something to wait for. To be called whenever a sink was written to.
void Pump::attend_to(Sink& sink) {
    if (sink.wait_fd() >= 0 || sink.next_time() || !sink.waiting.empty()) attended_.insert(&sink);
}

void Pump::resume_sinks(TimePoint now) {
    for (auto it = attended_.begin(); it != attended_.end();) {
        Sink& sink = **it;
        // It may replace its descriptor by another of the same number.
        stop_polling(sink);
        resume(sink, now);
        if (!sink.waiting.empty() && sink.is_ready()) {
            for (const PipeId id : std::exchange(sink.waiting, {})) {
                Pipe* pipe = find(id);
                if (!pipe) continue;
                pipe->is_waiting = false;
                poll_pipe(*pipe, true);
            }
        }
        poll_sink(sink);
        const bool waits = sink.wait_fd() >= 0 || sink.next_time() || !sink.waiting.empty();
        it = waits ? std::next(it) : attended_.erase(it);
    }
}

void Pump::poll_sink(Sink& sink) {
    if (sink.wait_fd() < 0) return;
    sink.polled_fd = sink.wait_fd();
    epoll_event event{EPOLLOUT, {.u64 = kSinkTag}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sink.polled_fd, &event);
}

void Pump::stop_polling(Sink& sink) {
    if (sink.polled_fd >= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, sink.polled_fd, nullptr);
    sink.polled_fd = -1;
}

void Pump::release(Sink& sink) {
    if (--sink.users > 0) return;
    sink.unused_since = Monotonic::now();
    const auto it = std::find_if(sinks_.begin(), sinks_.end(),
                                 [&sink](const auto& entry) { return entry.second.get() == &sink; });
    unused_.emplace_back(sink.unused_since + kKeepOpen, it->first);
}

void Pump::close_unused(TimePoint now) {
    while (!unused_.empty() && unused_.front().first <= now) {
        const std::string name = std::move(unused_.front().second);
        unused_.pop_front();
        const auto it = sinks_.find(name);
        if (it == sinks_.end()) continue;
        Sink& sink = *it->second;
        // Used again, or again and since then: another entry speaks for it.
        if (sink.users > 0 || sink.unused_since + kKeepOpen > now) continue;
        if ((!sink.is_empty() || sink.is_busy()) && sink.unused_since + kKeepTrying > now) {
            unused_.emplace_back(now + kKeepOpen, name);
            continue;
        }
        sink.give_up();
        attended_.erase(&sink);
        stop_polling(sink);
        sinks_.erase(it);
    }
}

}  // namespace circus::stream
