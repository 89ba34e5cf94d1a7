#include "keeper/service.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "keeper/service_tables.hpp"

namespace circus::keeper {

using std::chrono::milliseconds;

namespace {

// A turn of the loop reaps and answers at most so much, so that neither starves the other.
constexpr int kReapBudget = 256;
constexpr auto kTellRetry = milliseconds(20);
// Deaths that nobody asked for: one sweep for all of so long.
constexpr auto kSweepDelay = milliseconds(20);
// Between two sweeps that hold back Exited: a single stop is swept at once, a mass stop in batches.
constexpr auto kStopSweepGap = milliseconds(5);
// While a stop waits for what was left behind to be gone: between two looks, and altogether.
constexpr auto kHoldGap = milliseconds(2);
constexpr auto kHoldLimit = milliseconds(500);

bool is_stop_request(int signo) {
    return signo == SIGTERM || signo == SIGINT || signo == SIGQUIT;
}

UniqueFd open_signals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int signo : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH})
        sigaddset(&wanted, signo);
    return UniqueFd(signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
}

}  // namespace

void complain(const char* format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the analyzer does not see va_start across files
    int length = std::vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    if (length > static_cast<int>(sizeof line) - 2) length = sizeof line - 2;
    line[length++] = '\n';
    // A pipe that polls writable takes PIPE_BUF bytes without blocking; stderr itself must stay as it is, it
    // is shared with whoever started us.
    pollfd out{STDERR_FILENO, POLLOUT, 0};
    if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) return;
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line, static_cast<std::size_t>(length));
}

Service::Service(ServiceOptions options)
    : channel_(std::move(options.socket)),
      signals_(open_signals()),
      null_(open("/dev/null", O_RDWR | O_CLOEXEC)),
      spare_(fcntl(null_.get(), F_DUPFD_CLOEXEC, 0)),
      ready_(std::move(options.ready)),
      notifier_(getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID")),
      page_fd_(memfd_create("circus-page", MFD_CLOEXEC)),
      start_arbiter_(options.start_arbiter),
      start_context_(options.start_context),
      argv_(options.argv),
      self_(getpid()),
      arbiter_pid_(options.arbiter_pid),
      stop_timeout_(options.stop_timeout),
      patience_(options.patience),
      ready_patience_(options.ready_patience),
      arbiter_since_(Monotonic::now()) {
    if (page_fd_ && ftruncate(page_fd_.get(), kPageSize) == 0)
        if (void* const page =
                mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd_.get(), 0);
            page != MAP_FAILED)
            page_ = static_cast<Page*>(page);
    hello_.keeper_pid = self_;
    hello_.is_pid1 = self_ == 1 ? 1 : 0;
    hello_.nofile_soft = options.nofile_soft;
    hello_.nofile_hard = options.nofile_hard;
    // A pid comes back, a pid with its start time does not.
    ProcessStat stat;
    read_stat(self_, stat);
    std::snprintf(hello_.instance, sizeof hello_.instance, "%d-%llu", self_,
                  static_cast<unsigned long long>(stat.start_ticks));
    if (options.resume >= 0 && page_ && !take_up(options.resume)) page_ = nullptr;
}

int Service::run() {
    if (!signals_ || !null_ || !page_) {
        complain("circusd: cannot start: %s", std::strerror(errno));
        code_ = 1;
        return end();
    }
    while (phase_ != Phase::Ending) {
        start_next_if_due();
        tell();
        upgrade_if_due();
        wait();
        take_signals();
        if (reap_due_) reap();
        sweep_if_due();
        tell();
        take_requests();
        tell();
        keep_deadlines();
    }
    return end();
}

TimePoint Service::next_deadline() const {
    TimePoint next{};
    for (const TimePoint at : {restart_at_, heart_look_at_, ready_by_, feed_at_, retry_at_, sweep_at_,
                               stop_sweep_at_, arbiter_kill_at_, give_up_at_, next_kill_at_, let_go_at_})
        if (at != TimePoint{} && (next == TimePoint{} || at < next)) next = at;
    return next;
}

void Service::wait() {
    pollfd fds[2] = {{signals_.get(), POLLIN, 0}, {channel_.fd(), 0, 0}};
    if (!is_refusal_due_) fds[1].events |= POLLIN;
    if (is_full_) fds[1].events |= POLLOUT;
    // POLLHUP cannot be masked: a closed socket is watched no more.
    if (channel_.fd() < 0) fds[1].fd = -1;

    timespec limit{};
    const TimePoint next = next_deadline();
    bool is_limited = reap_due_;
    if (!reap_due_ && next != TimePoint{}) {
        is_limited = true;
        const auto left = next - Monotonic::now();
        if (left > Duration::zero()) {
            const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
            limit.tv_sec = nanoseconds / 1'000'000'000;
            limit.tv_nsec = nanoseconds % 1'000'000'000;
        }
    }
    ppoll(fds, 2, is_limited ? &limit : nullptr, nullptr);
    if ((fds[1].revents & (POLLOUT | POLLHUP | POLLERR)) != 0) is_full_ = false;
}

void Service::take_signals() {
    signalfd_siginfo infos[16];
    for (;;) {
        const ssize_t got = read(signals_.get(), infos, sizeof infos);
        if (got <= 0) return;
        const auto count = static_cast<std::size_t>(got) / sizeof infos[0];
        for (std::size_t i = 0; i < count; ++i) {
            if (infos[i].ssi_signo == SIGCHLD)
                reap_due_ = true;
            else
                on_signal_caught(static_cast<int>(infos[i].ssi_signo), static_cast<pid_t>(infos[i].ssi_pid));
        }
    }
}

void Service::on_signal_caught(int signo, pid_t sender) {
    const auto slot = static_cast<std::size_t>(signo);
    if (caught_[slot] < UINT8_MAX) ++caught_[slot];
    caught_from_[slot] = sender;
    if (!is_stop_request(signo)) return;
    ++stop_requests_;
    const auto now = Monotonic::now();
    if (phase_ == Phase::Stopping) {
        if (stop_requests_ >= 2) phase_ = Phase::Ending;
    } else if (stop_requests_ == 1) {
        give_up_at_ = now + stop_timeout_ + patience_;
    } else {
        give_up_at_ = std::min(give_up_at_, now + patience_);
    }
    // Nobody is there to be told.
    if (phase_ == Phase::Serving && restart_at_ != TimePoint{}) stop_the_stack(1);
}

void Service::reap() {
    for (int i = 0; i < kReapBudget; ++i) {
        int status = 0;
        rusage usage{};
        const pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid <= 0) {
            reap_due_ = false;
            return;
        }
        if (pid == arbiter_pid_)
            on_arbiter_reaped(status);
        else if (Child* const child = g_children.by_pid(pid))
            on_child_gone(*child, status, usage);
    }
}

void Service::on_child_gone(Child& child, int status, const rusage& usage) {
    g_gone.add({child.id, child.pid, child.kill_tree});
    g_children.clear_pid(child);
    child.status = status;
    child.usage = usage;
    const auto now = Monotonic::now();
    if (child.kill_tree && child.stopping) {
        g_children.push(unswept_, child);
        if (stop_sweep_at_ == TimePoint{}) stop_sweep_at_ = std::max(now, swept_at_ + kStopSweepGap);
        return;
    }
    if (child.kill_tree) {
        sweep_delay_ = kSweepDelay;
        if (sweep_at_ == TimePoint{} || sweep_at_ > now + kSweepDelay) sweep_at_ = now + kSweepDelay;
    }
    child.tell_exit = true;
    untold(child);
}

void Service::sweep_if_due() {
    const auto now = Monotonic::now();
    const bool is_stop_due = stop_sweep_at_ != TimePoint{} && now >= stop_sweep_at_;
    if (!is_stop_due && (sweep_at_ == TimePoint{} || now < sweep_at_)) return;
    stop_sweep_at_ = {};
    sweep_at_ = {};
    if (is_stop_due) sweep_delay_ = kSweepDelay;
    const bool is_any_left = sweep();
    swept_at_ = Monotonic::now();
    if (is_any_left) {
        // Look again when those have gone: one of them may have forked as it was killed. Ever more seldom,
        // for one that does not go is in the kernel's hands.
        sweep_at_ = swept_at_ + sweep_delay_;
        sweep_delay_ = std::min<Duration>(2 * sweep_delay_, std::chrono::seconds(1));
        // Who is told of a stop may look at once: nothing of it may be there any more, not even dying.
        if (g_children.front(unswept_) && held_until_ == TimePoint{}) held_until_ = swept_at_ + kHoldLimit;
        if (swept_at_ < held_until_) {
            stop_sweep_at_ = swept_at_ + kHoldGap;
            return;
        }
    }
    held_until_ = {};
    while (Child* const child = g_children.front(unswept_)) {
        g_children.pop(unswept_);
        child->tell_exit = true;
        untold(*child);
    }
}

void Service::untold(Child& child) {
    if (child.is_untold) return;
    child.is_untold = true;
    g_children.push(untold_, child);
}

bool Service::send_or_wait(const void* data, std::size_t size, std::span<const int> fds) {
    if (is_closed_) return true;
    switch (channel_.send(data, size, fds)) {
        case Channel::Sent::Yes:
            ++sent_;
            return true;
        case Channel::Sent::Full:
            is_full_ = true;
            return false;
        case Channel::Sent::Later:
            retry_at_ = Monotonic::now() + kTellRetry;
            return false;
        case Channel::Sent::Gone:
            break;
    }
    // What it sent before it went is still to be read; its end of file comes after that.
    is_closed_ = true;
    return true;
}

bool Service::tell_caught() {
    for (std::size_t signo = 1; signo < caught_.size(); ++signo) {
        for (; caught_[signo] > 0; --caught_[signo]) {
            CaughtMessage message;
            message.signo = static_cast<std::int32_t>(signo);
            message.sender_pid = caught_from_[signo];
            if (!send_or_wait(&message, sizeof message)) return false;
        }
    }
    return true;
}

bool Service::tell_child(Child& child) {
    if (child.tell_start && child.failed) {
        SpawnFailedMessage message;
        message.id = child.id;
        message.stage = child.stage;
        message.error = child.error;
        message.detail = child.detail;
        if (!send_or_wait(&message, sizeof message)) return false;
        child.tell_start = false;
    }
    if (child.tell_start) {
        SpawnedMessage message;
        message.id = child.id;
        message.pid = child.started_pid;
        message.start_ticks = child.start_ticks;
        const std::span<const int> pidfd(&child.pidfd, child.pidfd >= 0 ? 1 : 0);
        if (!send_or_wait(&message, sizeof message, pidfd)) return false;
        UniqueFd(child.pidfd).reset();
        child.pidfd = -1;
        child.tell_start = false;
    }
    if (child.tell_exit) {
        ExitedMessage message;
        message.id = child.id;
        message.status = child.status;
        message.usage = child.usage;
        if (!send_or_wait(&message, sizeof message)) return false;
    }
    return true;
}

// What the arbiter has taken in need not be told to the next one.
void Service::release_taken() {
    const std::uint64_t taken = page_->taken.load(std::memory_order_acquire);
    for (Child* child; (child = g_children.front(told_)) && child->told_at <= taken;) {
        g_children.pop(told_);
        g_children.release(*child);
    }
}

void Service::tell() {
    // While there is no arbiter everything waits in its row for the next one.
    if (is_full_ || restart_at_ != TimePoint{}) return;
    if (retry_at_ != TimePoint{} && Monotonic::now() < retry_at_) return;
    retry_at_ = {};
    release_taken();
    if (!greet() || !tell_caught()) return;
    if (is_refusal_due_) {
        if (!send_or_wait(&refusal_, sizeof refusal_)) return;
        is_refusal_due_ = false;
    }
    if (is_unsaved_due_) {
        const UnsavedMessage message;
        if (!send_or_wait(&message, sizeof message)) return;
        is_unsaved_due_ = false;
    }
    while (Child* const child = g_children.front(untold_)) {
        if (!tell_child(*child)) return;
        g_children.pop(untold_);
        child->is_untold = false;
        if (child->failed) {
            g_children.release(*child);
        } else if (child->tell_exit) {
            child->told_at = is_closed_ ? UINT64_MAX : sent_;
            g_children.push(told_, *child);
        }
    }
}

}  // namespace circus::keeper
