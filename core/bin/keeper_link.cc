#include "bin/keeper_link.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sys/pidfd.hpp"
#include "sys/procfs.hpp"

namespace circus::bin {

using supervise::ChildId;
using supervise::HoldId;

namespace {

// Between two tries to save the state.
constexpr Milliseconds kFirstPause{10}, kLongestPause{1000};

}  // namespace

void KeeperLink::spawn(ChildId id, const keeper::SpawnRequest& request) {
    if (is_alone()) {
        failed_.push_back(id);
        return;
    }
    // Before there can be such a process.
    guard_.on_spawn(id, request);
    client_.spawn(id, request);
}

void KeeperLink::hold(HoldId id, std::string_view name, int fd) {
    if (!is_alone()) client_.hold(id, name, fd);
}

void KeeperLink::drop(HoldId id) {
    dropped_.push_back(id);
}

void KeeperLink::save(const std::string& state) {
    state_ = state;
    send_state();
}

void KeeperLink::save_beside(std::string state) {
    if (state == beside_) return;
    beside_ = std::move(state);
    if (!state_.empty()) send_state();
}

void KeeperLink::send_state() {
    is_unsaved_ = false;
    if (is_alone() || client_.save(state_ + beside_)) return;
    retry();
}

// At once, and if that was of no use, soon. That the keeper has got it is not told: it was, when nothing was
// said for a while.
void KeeperLink::retry() {
    is_unsaved_ = true;
    if (retry_.is_active()) return;
    const TimePoint now = Monotonic::now();
    if (now - std::exchange(failed_at_, now) > 2 * kLongestPause) pause_ = {};
    retry_.start(pause_);
    pause_ = std::clamp<Duration>(2 * pause_, kFirstPause, kLongestPause);
}

void KeeperLink::settled() {
    // The state that the keeper has may still name them.
    if (is_unsaved_) return;
    for (const HoldId id : std::exchange(dropped_, {}))
        if (!is_alone()) client_.drop(id);
}

void KeeperLink::signal(ChildId id, int signo, keeper::Scope scope, pid_t pid, bool stopping) {
    if (!is_alone()) {
        client_.signal(id, signo, scope, pid, stopping);
        return;
    }
    const auto at = orphans_.find(id);
    if (at == orphans_.end()) return;
    if (scope != keeper::Scope::Process) {
        // The pidfd taken between the look and the signal makes sure that it is still the process that was
        // seen.
        for (const pid_t below : scope == keeper::Scope::Children ? sys::children_of(at->second.pid)
                                                                  : sys::descendants_of(at->second.pid)) {
            if (pid != 0 && below != pid) continue;
            if (auto pidfd = sys::open_pidfd(below)) sys::signal_pidfd(pidfd->get(), signo);
        }
        if (scope == keeper::Scope::Children) return;
    }
    sys::signal_pidfd(at->second.pidfd, signo);
}

void KeeperLink::watch(ChildId id, const supervise::Process& process) {
    Orphan orphan{process.pid, process.pidfd.get(), {}};
    auto poll = loop::Poll::make(loop_, process.pidfd.get(), [this, id](unsigned) { exited_.push_back(id); });
    if (poll) {
        poll->watch(loop::Poll::kReadable);
        orphan.poll.push_back(std::move(*poll));
    } else {
        exited_.push_back(id);
    }
    orphans_.emplace(id, std::move(orphan));
}

void KeeperLink::go_alone(supervise::Arbiter& arbiter) {
    if (is_alone()) return;
    arbiter_ = &arbiter;
    for (const supervise::Process* process : arbiter.all_processes()) {
        // A spawn that the keeper took with it: if there is such a process, the mark finds it at the end.
        if (process->pid == 0)
            failed_.push_back(process->id);
        else
            watch(process->id, *process);
    }
}

void KeeperLink::deliver() {
    for (const ChildId id : std::exchange(failed_, {}))
        arbiter_->on_spawn_failed(id, keeper::SpawnStage::Fork, EPIPE, 0);
    for (const ChildId id : std::exchange(exited_, {})) {
        if (orphans_.erase(id) == 0) continue;
        arbiter_->on_exited(id, 0, rusage{});
    }
}

}  // namespace circus::bin
