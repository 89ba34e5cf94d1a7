#include "stream/compressor.hpp"

#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <zlib.h>

#include "base/text.hpp"
#include "stream/signals.hpp"

namespace circus::stream {

struct Compressor::Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<Job>> jobs;
    std::atomic<bool> ended = false;
    UniqueFd wake;
};

void Compressor::Target::remove() const {
    unlinkat(directory.get(), name.c_str(), 0);
}

void Compressor::Job::give_up() {
    if (state_.exchange(State::GivenUp, std::memory_order_acq_rel) == State::Done) to_.remove();
}

void Compressor::Job::finish(Status status) {
    status_ = std::move(status);
    State open = State::Open;
    if (!state_.compare_exchange_strong(open, State::Done, std::memory_order_acq_rel)) to_.remove();
}

Compressor::Compressor(int wake) : shared_(std::make_shared<Shared>()) {
    shared_->wake.reset(fcntl(wake, F_DUPFD_CLOEXEC, 0));
}

Compressor::~Compressor() {
    const std::lock_guard lock(shared_->mutex);
    shared_->ended = true;
    shared_->changed.notify_one();
}

std::shared_ptr<Compressor::Job> Compressor::start(UniqueFd from, Target to) {
    auto job = std::make_shared<Job>(std::move(from), std::move(to));
    if (Status running = run(); !running) {
        job->finish(std::move(running));
        eventfd_write(shared_->wake.get(), 1);
        return job;
    }
    const std::lock_guard lock(shared_->mutex);
    shared_->jobs.push_back(job);
    shared_->changed.notify_one();
    return job;
}

Status Compressor::run() {
    if (runs_) return Ok{};
    try {
        const AllSignalsBlocked guard;
        std::thread([shared = shared_] { work(shared); }).detach();
    } catch (const std::system_error& error) {
        return sys_error("cannot start a thread that compresses", error.code().value());
    }
    runs_ = true;
    return Ok{};
}

void Compressor::work(const std::shared_ptr<Shared>& shared) {
    constexpr int kNice = 10;
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()),
                kNice);  // of this thread alone (setpriority(2), BUGS)
    for (;;) {
        std::shared_ptr<Job> job;
        {
            std::unique_lock lock(shared->mutex);
            shared->changed.wait(lock, [&] { return shared->ended || !shared->jobs.empty(); });
            if (shared->ended) return;
            job = std::move(shared->jobs.front());
            shared->jobs.pop_front();
        }
        Status status = carry_out(*job, shared->ended);
        job->from_.reset();
        job->finish(std::move(status));
        eventfd_write(shared->wake.get(), 1);
    }
}

namespace {

constexpr std::size_t kPiece = 64 * 1024;

// zlib's state, made and ended with its scope.
class Deflater {
  public:
    Deflater() {
        constexpr int kGzip = 16;  // added to the window's size: a gzip header in the place of zlib's
        constexpr int kMemory = 8;
        is_made_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzip, kMemory,
                                Z_DEFAULT_STRATEGY) == Z_OK;
    }
    ~Deflater() {
        if (is_made_) deflateEnd(&stream_);
    }
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;
    explicit operator bool() const { return is_made_; }
    z_stream& stream() { return stream_; }

  private:
    z_stream stream_{};
    bool is_made_ = false;
};

bool write_all(int fd, const unsigned char* bytes, std::size_t count) {
    while (count > 0) {
        const ssize_t n = ::write(fd, bytes, count);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes += n;
        count -= static_cast<std::size_t>(n);
    }
    return true;
}

// What `stream` has to say to the bytes it holds, into `to`.
bool deflate_to(int to, z_stream& stream, int flush) {
    std::array<unsigned char, kPiece> out;
    do {
        stream.next_out = out.data();
        stream.avail_out = static_cast<uInt>(out.size());
        deflate(&stream, flush);
        if (!write_all(to, out.data(), out.size() - stream.avail_out)) return false;
    } while (stream.avail_out == 0);
    return true;
}

// The owner and mode of what it is made of, before there is a byte in it.
Result<UniqueFd> create_like(int original, const Compressor::Target& to) {
    struct stat about {};
    if (fstat(original, &about) != 0) return sys_error("cannot look at the old file", errno);
    to.remove();  // of an arbiter that died at this point
    UniqueFd fd(openat(to.directory.get(), to.name.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return sys_error(cat("cannot make \"", to.shown, "\""), errno);
    // Without the right to give files away it stays ours, and the mode is that of the original all the same.
    [[maybe_unused]] const int given = fchown(fd.get(), about.st_uid, about.st_gid);
    if (fchmod(fd.get(), about.st_mode & 07777) != 0)
        return sys_error(cat("cannot set the mode of \"", to.shown, "\""), errno);
    return fd;
}

}  // namespace

Status Compressor::carry_out(Job& job, const std::atomic<bool>& ended) {
    if (job.is_given_up()) return Error{"not wanted any more"};
    auto to = create_like(job.from_.get(), job.to_);
    if (!to) return to.error();
    const auto fails = [&job](const char* what, int error) -> Status {
        job.to_.remove();
        return sys_error(cat("cannot ", what, " \"", job.to_.shown, "\""), error);
    };
    Deflater deflater;
    if (!deflater) return fails("compress into", ENOMEM);
    std::array<unsigned char, kPiece> in;
    for (;;) {
        if (ended.load(std::memory_order_relaxed) || job.is_given_up()) return fails("go on with", ECANCELED);
        const ssize_t n = ::read(job.from_.get(), in.data(), in.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fails("read what goes into", errno);
        deflater.stream().next_in = in.data();
        deflater.stream().avail_in = static_cast<uInt>(n);
        if (!deflate_to(to->get(), deflater.stream(), n == 0 ? Z_FINISH : Z_NO_FLUSH))
            return fails("write", errno);
        if (n == 0) break;
    }
    // The original goes when this has its place: by then it must be more than a plan of the kernel's.
    if (fdatasync(to->get()) != 0) return fails("write", errno);
    return Ok{};
}

}  // namespace circus::stream
