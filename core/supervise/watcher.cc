// Queries and wishes: what only sets data. Facts are in watcher_facts.cc, watcher_settle.cc acts.
#include "supervise/watcher.hpp"

#include <algorithm>
#include <csignal>

#include "base/log.hpp"
#include "base/text.hpp"

namespace circus::supervise {

using model::WatcherStatus;

Watcher::Watcher(config::WatcherConfig config, Identity identity, Stack& stack, Finish finish, Owns owns,
                 Mark mark, Gate gate)
    : config_(std::move(config)),
      identity_(std::move(identity)),
      stack_(stack),
      finish_(std::move(finish)),
      owns_(std::move(owns)),
      mark_(std::move(mark)),
      gate_(std::move(gate)) {}

// ---- queries ----

WatcherStatus Watcher::status() const {
    if (!up_) return is_gone() ? WatcherStatus::Stopped : WatcherStatus::Stopping;
    if ((drain_ && !processes_.empty()) || is_ending(phase_)) return WatcherStatus::Stopping;
    return phase_ == model::Phase::Started ? WatcherStatus::Active : WatcherStatus::Starting;
}

std::vector<const Process*> Watcher::active() const {
    std::vector<const Process*> out;
    for (const auto& [id, process] : processes_)
        if (process.is_active()) out.push_back(&process);
    return out;
}

const Process* Watcher::find_child(ChildId id) const {
    const auto at = processes_.find(id);
    return at != processes_.end() && at->second.is_active() ? &at->second : nullptr;
}

const Process* Watcher::find_pid(pid_t pid) const {
    for (const auto& [id, process] : processes_)
        if (process.is_active() && process.pid == pid) return &process;
    return nullptr;
}

bool Watcher::all_ran() const {
    return static_cast<int>(slots_.size()) >= config_.numprocesses &&
           std::all_of(slots_.begin(), slots_.begin() + config_.numprocesses,
                       [](const Slot& s) { return s.ran; });
}

bool Watcher::all_spawned() const {
    return static_cast<int>(slots_.size()) >= config_.numprocesses &&
           std::all_of(slots_.begin(), slots_.begin() + config_.numprocesses,
                       [](const Slot& s) { return s.spawned; });
}

bool Watcher::has_outdated() const {
    return std::any_of(processes_.begin(), processes_.end(),
                       [](const auto& row) { return row.second.outdated; });
}

Watcher::Slot& Watcher::slot(model::Wid wid) {
    const auto at = static_cast<std::size_t>(wid);
    if (slots_.size() < at) slots_.resize(at);
    return slots_[at - 1];
}

// ---- wishes ----

void Watcher::wait_for(Await what, Done done, std::vector<ChildId> victims) {
    if (!done) return;
    Waiter waiter{what, {}, std::move(victims), std::move(done)};
    for (const Process* process : active()) waiter.before.push_back(process->pid);
    std::sort(waiter.before.begin(), waiter.before.end());
    waiters_.push_back(std::move(waiter));
}

void Watcher::supersede(const char* by) {
    std::vector<Waiter> kept;
    for (Waiter& waiter : waiters_) {
        if (waiter.what == Await::Down || waiter.what == Await::Killed)
            kept.push_back(std::move(waiter));
        else
            finish_(std::move(waiter.done), Error{cat("arbiter is already running ", by, " command"), 5});
    }
    waiters_ = std::move(kept);
}

void Watcher::reset_slots() {
    slots_.assign(static_cast<std::size_t>(std::max(0, config_.numprocesses)), Slot{});
    forget_failures();
    reached_ = {};
    last_code_ = 0;
    end_.reset();
}

// Fewer and then more within one turn: what was not stopped in between runs in its slot as before.
void Watcher::resize_slots() {
    slots_.resize(static_cast<std::size_t>(config_.numprocesses));
    if (!up_ || drain_) return;
    for (const auto& [id, process] : processes_)
        if (process.counts() && process.wid <= config_.numprocesses && process.stops == 0)
            slot(process.wid).ran = true;
}

void Watcher::go_up() {
    if (up_) return;
    up_ = true;
    // What is still on its way out must be gone before anything new is started.
    drain_ = !processes_.empty() || has_begun(phase_);
    gated_ = !config_.depends_on.empty();
    told_held_ = false;
    start_delay_ = {};
    reset_slots();
}

void Watcher::want_up() {
    gave_up_.clear();
    if (up_ || !config_.on_demand) {
        go_up();
        return;
    }
    armed_ = true;
    await_delay_ = {};
    await_not_before_ = {};
}

void Watcher::start(Done done) {
    stack_.events.asked(name(), "start");
    look();
    wait_for(Await::Up, std::move(done));
    want_up();
}

void Watcher::disarm() {
    look();
    armed_ = awaiting_ = false;
}

void Watcher::stop(Done done) {
    stack_.events.asked(name(), "stop");
    look();
    supersede("watcher_stop");
    wait_for(Await::Down, std::move(done));
    up_ = false;
    gave_up_.clear();
    drain_ = false;
    reloading_ = false;
    abandoned_ = false;
    replacement_ = model::Replacement::NewFirst;
    canary_ = {};
    reached_ = {};
    for (auto& [id, process] : processes_)
        if (process.leaves_sockets) process.lingers.reset();
}

void Watcher::leave() {
    is_removed_ = true;
    leave_sockets();
}

void Watcher::abandon() {
    look();
    supersede("arbiter_rm_watcher");
    abandoned_ = true;
    up_ = false;
    armed_ = awaiting_ = false;
    phase_ = model::Phase::Closed;
    hurried_ = true;
    if (hooks_) hooks_->close();
    if (checks_) checks_->close();
}

void Watcher::restart(Done done) {
    stack_.events.asked(name(), "restart");
    look();
    wait_for(Await::Up, std::move(done));
    if (!up_) {
        want_up();
        return;
    }
    reloading_ = false;
    replacement_ = model::Replacement::NewFirst;
    canary_ = {};
    start_delay_ = {};
    drain_ = true;
    reset_slots();
}

void Watcher::set_numprocesses(int count, Duration drain, Done done) {
    look();
    const int before = std::exchange(config_.numprocesses, std::max(0, count));
    wait_for(Await::Count, std::move(done));
    resize_slots();
    let_linger(drain, before);
}

void Watcher::reconfigure(config::WatcherConfig config, Identity identity, bool reload_now, Done done) {
    look();
    const int count = config.numprocesses;
    const int before = config_.numprocesses;
    const bool recounted = std::max(0, count) != before;
    if (config.on_demand != config_.on_demand) armed_ = config.on_demand && up_;
    config_ = std::move(config);
    identity_ = std::move(identity);
    ++config_version_;
    config_.numprocesses = std::max(0, count);
    resize_slots();
    leave_sockets();
    if (recounted)
        let_linger({}, before);
    else if (!has_lingering_)
        trim_sockets();
    if (reload_now && up_)
        reload(ReloadKind::Graceful, std::move(done));
    else if (recounted)
        wait_for(Await::Count, std::move(done));
    else if (done)
        finish_(std::move(done), OpResult{});  // in force; whoever is not ready yet holds up nobody
}

}  // namespace circus::supervise
