#include "stream/streams.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>

#include "base/text.hpp"
#include "stream/pump.hpp"
#include "stream/sink_class.hpp"

namespace circus::stream {

namespace {

constexpr int kPipeSize = 256 * 1024;

// Both ends CLOEXEC, ours non-blocking, the worker's as a pipe is.
Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return sys_error("cannot make a pipe", errno);
    std::pair<UniqueFd, UniqueFd> pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return sys_error("cannot set O_NONBLOCK on a pipe", errno);
    // EPERM beyond the user's share of pipe memory (pipe(7)): then it keeps its size, and works.
    fcntl(ends[0], F_SETPIPE_SZ, kPipeSize);
    return pipe;
}

const char* const kStdoutKey = "stdout";  // of the one sink of all that goes there

SinkRequest stdout_request() {
    StreamSpec spec;
    spec.class_name = "StdoutStream";
    return {std::move(spec), kStdoutKey, nullptr, nullptr};
}

}  // namespace

Streams::Streams(loop::Loop& loop, StreamsOptions options)
    : options_(std::make_shared<StreamsOptions>(std::move(options))),
      inbox_(loop),
      loop_sinks_(inbox_.sender()) {}

Streams::~Streams() {
    shutdown(Milliseconds(1000));
}

Result<SinkRequest> Streams::request_for(const StreamSpec& spec) {
    SinkRequest request{spec, spec.class_name};
    const Source source{to_lower(spec.watcher), spec.channel};
    const SinkClass* row = find_sink_class(spec.class_name);
    if (row && row->has_ring) {
        last_lines_.erase(source);
    } else {
        rings_.erase(source);
        auto& lines = last_lines_[source];
        if (!lines) lines = std::make_shared<LastLines>();
        request.last_lines = lines;
    }
    if (!row) {
        request.handover = loop_sinks_.handover_of(spec);
        request.key = request.handover->key();
    } else if (row->has_file) {
        std::error_code error;
        const auto path = std::filesystem::absolute(spec.filename, error);
        if (error) return sys_error(cat("cannot find out where \"", spec.filename, "\" is"), error.value());
        request.spec.filename = request.key = path.lexically_normal().string();
    } else if (row->has_ring) {
        auto& ring = rings_[source];
        if (!ring) ring = std::make_shared<Ring>(spec.lines);
        ring->resize(spec.lines);
        request.ring = ring;
        request.key = cat("ring ", ring->mark());
    } else {
        request.key = kStdoutKey;
        if (row->is_fancy && spec.color.empty()) {
            std::string& color = colors_[source];
            if (color.empty()) color = std::string(random_color());
            request.spec.color = color;
        }
    }
    auto& count = counts_[source];
    if (!count) count = std::make_shared<OutputCount>();
    request.count = count;
    return request;
}

Result<Streams::Pipe> Streams::open(const StreamSpec& spec) {
    if (is_shut_down_) return Error{"the streams are shut down"};
    auto request = request_for(spec);
    if (!request) return request.error();
    auto ends = make_pipe();
    if (!ends) return ends.error();
    if (const Status running = start_pump(); !running) return running.error();
    const PipeId id = next_id_++;
    users_[id] = {request->key, spec.watcher};
    const int read_end = ends->first.get();
    pump_->add(id, std::move(ends->first), std::move(*request));
    return Pipe{id, std::move(ends->second), read_end};
}

Status Streams::start_pump() {
    if (pump_) return Ok{};
    auto pump = run_pump();
    if (!pump) return pump.error();
    pump_ = std::move(*pump);
    if (copies_) pump_->copy(stdout_request());
    return Ok{};
}

Status Streams::adopt(PipeId id, const StreamSpec& spec, UniqueFd read_end) {
    auto request = request_for(spec);
    if (!request) return request.error();
    if (const Status running = start_pump(); !running) return running.error();
    next_id_ = std::max(next_id_, id + 1);
    users_[id] = {request->key, spec.watcher};
    pump_->add(id, std::move(read_end), std::move(*request));
    return Ok{};
}

// What the pump tells comes through the inbox: `this` is used on the loop's thread only, and the inbox drops
// what comes after it.
Result<std::shared_ptr<Pump>> Streams::run_pump() {
    const auto sender = inbox_.sender();
    auto drained = [this, sender](PipeId id, std::optional<std::string> last) {
        sender.post([this, id, last = std::move(last)] {
            users_.erase(id);
            watches_.erase(id);
            if (auto entry = finishing_.extract(id); entry && entry.mapped()) entry.mapped()(last);
        });
    };
    auto trouble = [this, sender](Trouble told) {
        sender.post([this, told = std::move(told)] { tell(told); });
    };
    auto found = [this, sender](PipeId id) {
        sender.post([this, id] {
            if (auto entry = watches_.extract(id)) entry.mapped()();
        });
    };
    std::unique_ptr<Journal> journal;
    if (options_->journal)
        if (auto parts = options_->journal()) {
            auto opened = Journal::open(std::move(parts));
            if (!opened) return opened.error();
            journal = std::move(*opened);
        }
    return Pump::run(
        {.drained = std::move(drained), .trouble = std::move(trouble), .found = std::move(found)},
        options_->stdout_fd, std::move(journal));
}

void Streams::tell(Trouble trouble) {
    std::set<std::string> concerned;
    if (!trouble.begins)
        if (auto told = troubled_.extract(trouble.key)) concerned = std::move(told.mapped());
    for (const auto& [id, user] : users_)
        if (user.sink == trouble.key) concerned.insert(user.watcher);
    if (trouble.begins) troubled_[trouble.key].insert(concerned.begin(), concerned.end());
    trouble.watchers.assign(concerned.begin(), concerned.end());
    if (options_->trouble) options_->trouble(trouble);
}

void Streams::watch(PipeId id, Pattern pattern, std::function<void()> found) {
    if (!pump_) return;
    watches_[id] = std::move(found);
    pump_->watch(id, std::move(pattern));
}

void Streams::start(PipeId id, pid_t pid) {
    if (pump_) pump_->start(id, pid);
}

void Streams::finish(PipeId id, Drained done) {
    if (!pump_) return;
    finishing_[id] = std::move(done);
    pump_->finish(id);
}

void Streams::discard(PipeId id) {
    users_.erase(id);
    watches_.erase(id);
    if (pump_) pump_->discard(id);
}

void Streams::reopen_files() {
    if (pump_) pump_->reopen_files();
}

void Streams::copy_to_stdout(bool on) {
    if (std::exchange(copies_, on) == on || !pump_) return;
    pump_->copy(on ? stdout_request() : SinkRequest{});
}

bool Streams::shutdown(Milliseconds limit) {
    is_shut_down_ = true;
    finishing_.clear();
    watches_.clear();
    const auto pump = std::exchange(pump_, nullptr);
    if (!pump) return true;
    loop_sinks_.prepare_for_the_end();
    const bool all_written = pump->stop(limit);
    loop_sinks_.deliver_the_rest();
    return all_written;
}

std::optional<Tail> Streams::tail(const std::string& watcher, Channel channel, const TailQuery& query) const {
    const Source source{to_lower(watcher), channel};
    if (const auto at = rings_.find(source); at != rings_.end()) return at->second->read(query);
    if (const auto at = last_lines_.find(source); at != last_lines_.end()) return at->second->read(query);
    return std::nullopt;
}

Streams::Counted Streams::counted(const std::string& watcher, Channel channel) const {
    const auto at = counts_.find({to_lower(watcher), channel});
    if (at == counts_.end()) return {};
    return {at->second->bytes, at->second->dropped};
}

void Streams::forget(const std::string& watcher) {
    for (const Channel channel : {Channel::Stdout, Channel::Stderr}) {
        rings_.erase({to_lower(watcher), channel});
        last_lines_.erase({to_lower(watcher), channel});
        colors_.erase({to_lower(watcher), channel});
        counts_.erase({to_lower(watcher), channel});
    }
    for (auto& [sink, told] : troubled_) told.erase(watcher);
}

}  // namespace circus::stream
