#include "stream/stdout_sink.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <climits>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "stream/signals.hpp"

namespace circus::stream {

namespace {
// Beyond this the pipes wait; below it they are read again.
constexpr std::size_t kEnoughWaiting = 128 * 1024;
const std::string kName = "stdout";
}  // namespace

struct StdoutSink::Shared {
    std::mutex mutex;
    std::condition_variable changed;  // for the thread: work, or `ended`
    std::string backlog;
    std::string taken;          // by the thread; its last `in_flight` bytes are not written
    std::size_t in_flight = 0;  // bytes that the thread has taken and not yet written
    std::uint64_t lost = 0;     // dropped by the thread while failing
    int error = 0;              // of the last write; 0: it went well
    bool ended = false;
    bool pump_waits = false;  // for is_ready() or is_empty()
    UniqueFd fd;              // a duplicate: the thread may be the last to know that it is over
    UniqueFd wake;
};

StdoutSink::StdoutSink(int fd, int wake, Report report)
    : report_(std::move(report)), shared_(std::make_shared<Shared>()) {
    shared_->fd.reset(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    shared_->wake.reset(fcntl(wake, F_DUPFD_CLOEXEC, 0));
    if (!shared_->fd || !shared_->wake) {
        shared_->ended = true;
        shared_->error = errno;
        return;
    }
    try {
        const AllSignalsBlocked guard;  // the thread inherits the mask
        std::thread([shared = shared_] { run(shared); }).detach();
    } catch (const std::system_error& error) {
        shared_->ended = true;
        shared_->error = error.code().value();
    }
}

StdoutSink::~StdoutSink() {
    const std::lock_guard lock(shared_->mutex);
    shared_->ended = true;
    shared_->changed.notify_one();
}

bool StdoutSink::is_ready() const {
    const std::lock_guard lock(shared_->mutex);
    const bool ready = shared_->error != 0 || shared_->backlog.size() < kEnoughWaiting;
    shared_->pump_waits |= !ready;
    return ready;
}

bool StdoutSink::is_empty() const {
    const std::lock_guard lock(shared_->mutex);
    const bool empty = shared_->backlog.empty() && shared_->in_flight == 0;
    shared_->pump_waits |= !empty;
    return empty;
}

void StdoutSink::write(PipeId owner, std::string_view first, std::string_view second, bool ends_line) {
    const std::string_view separator = open_line_.separator(owner);
    const std::size_t total = separator.size() + first.size() + second.size();
    if (total == 0) return;
    const std::lock_guard lock(shared_->mutex);
    // What a ready sink is given it takes, whatever the size.
    const std::size_t held = shared_->backlog.size();
    if (shared_->ended || (held >= kEnoughWaiting && held + total > kMaxBacklog)) {
        shared_->pump_waits = true;
        Condition& condition = writing_.is_active() ? writing_ : slow_;
        condition.begin(report_, kName, "stdout does not take bytes fast enough");
        condition.lose(first.size() + second.size());
        return;
    }
    open_line_.wrote(owner, ends_line);
    shared_->backlog += separator;
    shared_->backlog += first;
    shared_->backlog += second;
    shared_->changed.notify_one();
}

std::string StdoutSink::unwritten() const {
    const std::lock_guard lock(shared_->mutex);
    const std::string& taken = shared_->taken;
    return taken.substr(taken.size() - std::min(shared_->in_flight, taken.size())) + shared_->backlog;
}

std::optional<TimePoint> StdoutSink::next_time() const {
    if (!slow_.is_active()) return std::nullopt;
    const std::lock_guard lock(shared_->mutex);
    return shared_->backlog.empty() ? std::optional(slow_.calm_at()) : std::nullopt;
}

void StdoutSink::resume(TimePoint now) {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->error != 0)
        writing_.begin(report_, kName, sys_error("cannot write to stdout", shared_->error).text);
    writing_.lose(std::exchange(shared_->lost, 0));
    if (shared_->error == 0) writing_.end(report_, kName);
    if (shared_->backlog.empty() && now >= slow_.calm_at()) slow_.end(report_, kName);
}

void StdoutSink::give_up() {
    {
        const std::lock_guard lock(shared_->mutex);
        const std::size_t left = shared_->backlog.size() + shared_->in_flight;
        shared_->backlog.clear();
        if (left > 0) {
            Condition& condition = writing_.is_active() ? writing_ : slow_;
            condition.begin(report_, kName, "stdout is left with bytes not written");
            condition.lose(left);
        }
    }
    writing_.end(report_, kName);
    slow_.end(report_, kName);
}

namespace {

// How long a thread that cannot write takes to notice that it is over, in milliseconds.
constexpr int kBlocked = 100;

// Writes a piece that a writable pipe or terminal takes without blocking, in most cases: somebody else may
// have filled it since poll(2). Bytes written, or -errno.
ssize_t write_piece(int fd, bool can_block, std::string_view bytes) {
    if (can_block) {
        pollfd wait{fd, POLLOUT, 0};
        if (::poll(&wait, 1, kBlocked) <= 0) return -EAGAIN;
        bytes = bytes.substr(0, PIPE_BUF);
    }
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    return n >= 0 ? n : -errno;
}

bool is_regular(int fd) {
    struct stat about {};
    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

}  // namespace

void StdoutSink::run(const std::shared_ptr<Shared>& shared) {
    const bool can_block = !is_regular(shared->fd.get());
    std::string& taken = shared->taken;  // changed under the mutex, read by the thread without
    std::unique_lock lock(shared->mutex);
    const auto tell_pump = [&] {
        shared->pump_waits = false;
        eventfd_write(shared->wake.get(), 1);
    };
    for (;;) {
        shared->changed.wait(lock, [&] { return shared->ended || !shared->backlog.empty(); });
        if (shared->ended) return;
        taken.clear();
        taken.swap(shared->backlog);
        shared->in_flight = taken.size();
        // The pipes that wait may be read again while this is being written.
        if (shared->pump_waits) tell_pump();
        while (shared->in_flight > 0 && !shared->ended) {
            const std::string_view left(taken.data() + taken.size() - shared->in_flight, shared->in_flight);
            lock.unlock();
            const ssize_t n = write_piece(shared->fd.get(), can_block, left);
            lock.lock();
            if (n > 0) {
                shared->in_flight -= static_cast<std::size_t>(n);
                if (std::exchange(shared->error, 0) != 0) tell_pump();
            } else if (n != -EINTR && n != -EAGAIN) {
                shared->error = n == 0 ? EIO : static_cast<int>(-n);
                // What was under way stays; what came since goes, as it does until this is over.
                shared->lost += shared->backlog.size();
                shared->backlog.clear();
                tell_pump();
                shared->changed.wait_for(lock, kSinkRetry, [&] { return shared->ended; });
            }
        }
        if (shared->pump_waits) tell_pump();
    }
}

}  // namespace circus::stream
