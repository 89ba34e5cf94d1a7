// The end: what the keeper does when the arbiter has said Exit, is gone for good, or does not stop the stack
// in time.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "keeper/service.hpp"
#include "keeper/service_tables.hpp"
#include "sys/own_code.hpp"

namespace circus::keeper {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// An arbiter that has closed its socket or said Exit is about to end by itself.
constexpr auto kArbiterGrace = seconds(1);
// What has not ended so long after SIGKILL hangs in the kernel; nobody is helped by waiting for it.
constexpr auto kUnkillableAfter = seconds(10);
constexpr auto kRescan = milliseconds(20);

}  // namespace

void Service::on_channel_closed() {
    channel_.close();
    is_closed_ = true;
    is_full_ = false;
    if (arbiter_pid_ == 0) {
        complain("circusd: the arbiter is gone; stopping the stack");
        return stop_the_stack(1);
    }
    // It is probably on its way out: its descriptors are closed a moment before it can be reaped.
    arbiter_kill_at_ = Monotonic::now() + kArbiterGrace;
}

void Service::stop_the_stack(int code) {
    const auto now = Monotonic::now();
    // An arbiter that hung may have used up the time without one worker having been told to stop.
    const Duration left = stop_requests_ > 0 ? give_up_at_ - patience_ - now : stop_timeout_;
    const TimePoint last = now + std::max(left, std::min(patience_, stop_timeout_));
    phase_ = Phase::Stopping;
    restart_at_ = heart_look_at_ = ready_by_ = feed_at_ = {};
    code_ = code;
    notifier_.send("STOPPING=1\nSTATUS=the keeper stops the stack");
    channel_.close();
    is_closed_ = true;
    is_full_ = false;
    give_up_at_ = last + patience_;
    g_children.for_each_running([&](Child& child) {
        child.stopping = true;
        child.kill_at = std::min<TimePoint>(last, now + milliseconds(child.graceful_timeout_ms));
        kill(child.pid, child.stop_signal);
    });
    next_kill_at_ = now;
}

void Service::keep_deadlines() {
    const auto now = Monotonic::now();
    const auto has_passed = [now](TimePoint at) { return at != TimePoint{} && now >= at; };
    if (has_passed(arbiter_kill_at_)) {
        arbiter_kill_at_ = {};
        if (arbiter_pid_ != 0) kill(arbiter_pid_, SIGKILL);
    }
    if (has_passed(heart_look_at_)) look_for_a_beat();
    if (has_passed(let_go_at_)) {
        let_go_at_ = {};
        sys::let_go_of_own_code();
    }
    if (has_passed(ready_by_)) end_late_arbiter();
    if (has_passed(feed_at_)) feed_watchdog();
    if (phase_ == Phase::Serving && has_passed(give_up_at_)) {
        complain("circusd: the arbiter has not stopped the stack in time; the keeper does it");
        if (arbiter_pid_ != 0) kill(arbiter_pid_, SIGKILL);
        stop_the_stack(1);
    }
    if (phase_ != Phase::Stopping) return;
    if (g_children.running() == 0 || has_passed(give_up_at_)) {
        phase_ = Phase::Ending;
        return;
    }
    if (!has_passed(next_kill_at_)) return;
    next_kill_at_ = {};
    g_children.for_each_running([&](Child& child) {
        if (has_passed(child.kill_at)) {
            child.kill_at = {};
            signal_tree(child, SIGKILL);
        } else if (child.kill_at != TimePoint{}) {
            if (next_kill_at_ == TimePoint{} || child.kill_at < next_kill_at_) next_kill_at_ = child.kill_at;
        }
    });
}

void Service::kill_everything(bool spare_arbiter) {
    // The table too, for a system without /proc.
    g_children.for_each_running([](const Child& child) { kill(child.pid, SIGKILL); });
    g_found.clear();
    append_children(self_, g_found);
    for (std::size_t i = 0; i < g_found.size();)
        if (spare_arbiter && g_found[i].pid == arbiter_pid_)
            g_found.drop(i);
        else
            ++i;
    append_descendants(g_found, 0);
    for (std::size_t i = 0; i < g_found.size(); ++i) signal_process(g_found[i], self_, SIGKILL);
    if (!spare_arbiter && arbiter_pid_ != 0) kill(arbiter_pid_, SIGKILL);
}

int Service::end() {
    const auto start = Monotonic::now();
    auto arbiter_may_live_until = start + kArbiterGrace;
    for (;;) {
        for (pid_t pid; (pid = wait4(-1, nullptr, WNOHANG, nullptr)) != 0;) {
            if (pid < 0) return code_;  // no children: done
            if (pid == arbiter_pid_) arbiter_pid_ = 0;
            if (Child* const child = g_children.by_pid(pid)) g_children.clear_pid(*child);
        }
        const auto now = Monotonic::now();
        if (now - start > kUnkillableAfter) {
            complain("circusd: some processes do not end, not even by SIGKILL; leaving them");
            return code_;
        }
        kill_everything(now < arbiter_may_live_until);
        pollfd waiting{signals_.get(), POLLIN, 0};
        poll(&waiting, 1, static_cast<int>(milliseconds(kRescan).count()));
        signalfd_siginfo info;
        while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
            if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT)
                arbiter_may_live_until = now;
    }
}

}  // namespace circus::keeper
