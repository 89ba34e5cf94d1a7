// One arbiter after the other: what becomes of the stack when the arbiter dies, and how the next one learns
// what there is.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/service.hpp"
#include "keeper/service_tables.hpp"

namespace circus::keeper {

using std::chrono::milliseconds;

namespace {

// Before the first, second … start in a row; the last one for all that follow.
constexpr std::array kStartDelays = {milliseconds(0), milliseconds(100), milliseconds(500),
                                     milliseconds(2000), milliseconds(5000)};
// An arbiter that lived so long was sound: its end is the first again.
constexpr auto kSoundLife = std::chrono::seconds(10);
// Between SIGABRT, which may leave a core file, and SIGKILL.
constexpr auto kAbortGrace = std::chrono::seconds(2);
constexpr int kLooks = 4;  // at its heart, within the time it has
// One that follows another may take so many times arbiter_timeout to become ready, or the least that was set.
constexpr int kReadyTimeouts = 3;
// While no arbiter of this binary was ready yet: so many deaths in a row are enough to go back.
constexpr std::size_t kFirstStarts = 2;
constexpr auto kSweepPause = milliseconds(20);
// What arbiters leave behind is swept like what children leave: by their session. No child has this id.
constexpr ChildId kArbiterId = ~ChildId{0};

void describe(int status, char* text, std::size_t size) {
    if (WIFSIGNALED(status))
        std::snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
                      strsignal(WTERMSIG(status)));
    else
        std::snprintf(text, size, "exited unasked with status %d", WEXITSTATUS(status));
}

std::int64_t nanoseconds_of(TimePoint at) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

}  // namespace

void Service::on_arbiter_reaped(int status) {
    const pid_t pid = std::exchange(arbiter_pid_, 0);
    arbiter_kill_at_ = heart_look_at_ = ready_by_ = {};
    const bool was_late = std::exchange(is_late_, false);
    note_culprit();
    if (phase_ != Phase::Serving) return;
    // What it has asked for it has asked for: only what it could not send is lost.
    take_last_requests();
    if (phase_ != Phase::Serving) return;
    char end[96];
    describe(status, end, sizeof end);
    if (!was_ready_ || !start_arbiter_ || stop_requests_ > 0) {
        complain("circusd: the arbiter %s; stopping the stack", end);
        return stop_the_stack(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1);
    }
    channel_.close();
    is_closed_ = is_full_ = false;
    g_gone.add({kArbiterId, pid, true});
    const auto now = Monotonic::now();
    sweep_at_ = now;
    if (std::exchange(is_arbiter_ready_, false) && now - arbiter_since_ >= kSoundLife) failed_starts_ = 0;
    feed_at_ = now;
    const auto delay = kStartDelays[std::min(failed_starts_++, kStartDelays.size() - 1)];
    restart_at_ = now + delay;
    if (std::exchange(is_upgraded_, false)) {
        failed_starts_ = 0;
        restart_at_ = now;
        return;
    }
    note_end(end);
    if (binary_before_ && is_last_first_end(end, was_late)) return;
    complain("circusd: the arbiter %s; another one takes over %u children, in %lld ms", end,
             g_children.running(), static_cast<long long>(delay.count()));
}

// While no arbiter of this binary was ready yet. True: no other one is tried.
bool Service::is_last_first_end(const char* end, bool was_late) {
    if (was_late)
        failed_starts_ = std::max(failed_starts_, kFirstStarts);
    else
        std::snprintf(first_end_, sizeof first_end_, "its arbiter %s before it was ready", end);
    if (failed_starts_ < kFirstStarts) return false;
    restart_at_ = Monotonic::now();
    return true;
}

void Service::end_late_arbiter() {
    ready_by_ = {};
    if (arbiter_pid_ == 0 || is_late_) return;
    is_late_ = true;
    note_culprit();
    const long long waited =
        std::chrono::duration_cast<milliseconds>(Monotonic::now() - arbiter_since_).count();
    std::snprintf(first_end_, sizeof first_end_, "its arbiter was not ready within %lld ms", waited);
    if (hello_.plugin[0] != '\0')
        complain("circusd: the arbiter was not ready within %lld ms, in plugin %s (%s); ending it", waited,
                 hello_.plugin, hello_.callback);
    else
        complain("circusd: the arbiter was not ready within %lld ms; ending it", waited);
    kill(arbiter_pid_, SIGKILL);
}

// The workers are served while another arbiter is on its way, and no reason to end them. One that does not
// come, however often it is tried, is the service manager's affair again.
void Service::feed_watchdog() {
    feed_at_ = {};
    if (notifier_.watchdog() == Duration::zero() || is_arbiter_ready_ || failed_starts_ > kStartDelays.size())
        return;
    notifier_.send("WATCHDOG=1");
    feed_at_ = Monotonic::now() + std::max<Duration>(notifier_.watchdog() / 2, milliseconds(1));
}

// Whose call it did not come back from.
void Service::note_culprit() {
    hello_.plugin[0] = hello_.callback[0] = '\0';
    if (page_->is_running.load(std::memory_order_acquire) == 0) return;
    std::snprintf(hello_.plugin, sizeof hello_.plugin, "%.*s", static_cast<int>(sizeof page_->plugin - 1),
                  page_->plugin);
    std::snprintf(hello_.callback, sizeof hello_.callback, "%.*s",
                  static_cast<int>(sizeof page_->callback - 1), page_->callback);
}

// For the log, which the keeper has none of.
void Service::note_end(const char* end) {
    const long long silent = std::chrono::duration_cast<milliseconds>(std::exchange(silent_, {})).count();
    if (silent > 0)
        std::snprintf(page_->end, sizeof page_->end, "hung for %lld ms and %s", silent, end);
    else
        std::snprintf(page_->end, sizeof page_->end, "%s", end);
}

void Service::look_for_a_beat() {
    heart_look_at_ = {};
    if (arbiter_pid_ == 0 || !is_arbiter_ready_ || arbiter_timeout_ == Duration::zero()) return;
    const auto now = Monotonic::now();
    const std::uint64_t beats = page_->beats.load(std::memory_order_relaxed);
    if (std::exchange(beats_seen_, beats) != beats) beat_at_ = now;
    if (now - beat_at_ < arbiter_timeout_) {
        heart_look_at_ = now + std::max<Duration>(arbiter_timeout_ / kLooks, milliseconds(10));
        return;
    }
    note_culprit();
    silent_ = now - beat_at_;
    const long long silent = std::chrono::duration_cast<milliseconds>(silent_).count();
    if (hello_.plugin[0] != '\0')
        complain("circusd: the arbiter hangs since %lld ms in plugin %s (%s); ending it", silent,
                 hello_.plugin, hello_.callback);
    else
        complain("circusd: the arbiter hangs since %lld ms; ending it", silent);
    kill(arbiter_pid_, SIGABRT);
    arbiter_kill_at_ = now + kAbortGrace;
}

void Service::start_next_if_due() {
    if (phase_ != Phase::Serving || restart_at_ == TimePoint{} || Monotonic::now() < restart_at_) return;
    if (binary_before_ && failed_starts_ >= kFirstStarts) {
        if (!is_swept()) {
            restart_at_ = Monotonic::now() + kSweepPause;
            return;
        }
        go_back();
    }
    UniqueFd keeper_end, arbiter_end;
    SpawnOutcome arbiter;
    if (make_channel(keeper_end, arbiter_end)) {
        arbiter = start_arbiter_(start_context_, arbiter_end.get());
    } else {
        arbiter.stage = SpawnStage::Descriptors;
        arbiter.error = errno;
    }
    const auto now = Monotonic::now();
    if (arbiter.pid < 0) {
        const auto delay = kStartDelays[std::min(failed_starts_++, kStartDelays.size() - 1)];
        complain("circusd: cannot start the arbiter: %s: %s; the next try is in %lld ms",
                 to_string(arbiter.stage), std::strerror(arbiter.error),
                 static_cast<long long>(delay.count()));
        restart_at_ = now + delay;
        std::snprintf(first_end_, sizeof first_end_, "its arbiter cannot be started: %s: %s",
                      to_string(arbiter.stage), std::strerror(arbiter.error));
        return;
    }
    restart_at_ = {};
    arbiter_pid_ = arbiter.pid;
    arbiter_since_ = now;
    if (arbiter_timeout_ != Duration::zero())
        ready_by_ = now + std::max<Duration>(kReadyTimeouts * arbiter_timeout_, ready_patience_);
    is_arbiter_ready_ = false;
    channel_ = Channel(std::move(keeper_end));
    is_closed_ = is_full_ = is_refusal_due_ = is_unsaved_due_ = false;
    retry_at_ = {};
    recall();
}

// Everything that the arbiter before may not know is to be told.
void Service::recall() {
    release_taken();
    ++hello_.generation;
    sent_ = 0;
    page_->taken.store(0, std::memory_order_relaxed);
    page_->is_running.store(0, std::memory_order_relaxed);
    greeting_ = Greeting::Hello;
    untold_ = {};
    told_ = {};
    g_children.visit_rows(1, [this](Child& child) {
        child.is_untold = false;
        UniqueFd(child.pidfd).reset();
        child.pidfd = -1;
        if (child.failed) {
            g_children.release(child);
            return true;
        }
        child.tell_start = false;
        child.told_at = 0;
        if (child.tell_exit) untold(child);
        return true;
    });
}

bool Service::tell_hello() {
    hello_.last_child = last_child_;
    const std::array<int, 2> fds{page_fd_.get(), saved_.get()};
    return send_or_wait(&hello_, sizeof hello_, std::span(fds).first(saved_ ? 2 : 1));
}

bool Service::tell_inherited(Child& child) {
    ChildMessage message;
    message.id = child.id;
    message.note = child.note;
    message.pid = child.started_pid;
    message.started = nanoseconds_of(child.started);
    message.started_wall = child.started_wall;
    if (child.stopping) message.stopping = std::max<std::int64_t>(1, nanoseconds_of(child.stopping_since));
    // Its number is ours as long as it is unreaped.
    const UniqueFd pidfd(child.pid != 0 ? static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0)) : -1);
    const int fd = pidfd.get();
    return send_or_wait(&message, sizeof message, std::span(&fd, pidfd ? 1 : 0));
}

// Goes on where the socket was full.
bool Service::greet() {
    if (greeting_ == Greeting::Done) return true;
    if (greeting_ == Greeting::Hello) {
        if (!tell_hello()) return false;
        greeting_ = hello_.generation > 0 ? Greeting::Children : Greeting::Done;
        greeted_row_ = 1;
    }
    if (greeting_ == Greeting::Children) {
        greeted_row_ =
            g_children.visit_rows(greeted_row_, [this](Child& child) { return tell_inherited(child); });
        if (greeted_row_ != 0) return false;
        greeting_ = Greeting::Held;
        greeted_row_ = 1;
    }
    if (greeting_ == Greeting::Held) {
        greeted_row_ = g_held.visit_rows(greeted_row_, [this](HoldId id, const char* name, int fd) {
            HeldMessage message;
            message.id = id;
            std::snprintf(message.name, sizeof message.name, "%s", name);
            return send_or_wait(&message, sizeof message, std::span(&fd, 1));
        });
        if (greeted_row_ != 0) return false;
        greeting_ = Greeting::Last;
    }
    if (greeting_ == Greeting::Last) {
        const GreetedMessage message;
        if (!send_or_wait(&message, sizeof message)) return false;
        greeting_ = Greeting::Done;
    }
    return true;
}

}  // namespace circus::keeper
