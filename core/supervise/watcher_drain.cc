// Processes that are too many and may get through with their work first: they linger, outside of the wanted
// slots, until they are idle, for some time at the most, or until they are wanted again.
//
// Without a drain they get their stop signal and are through with what they have in hand as far as they are
// that kind of program; but what waits on a listener of their own nobody else can accept, and a program that
// stops accepts no more. So with so_reuseport they linger too, until they have accepted it.
#include <algorithm>
#include <csignal>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/drain.hpp"
#include "supervise/spawn_plan.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

namespace {

// A connection whose handshake was under way when its listener began to get no new ones arrives within this.
constexpr Duration kHandshake = std::chrono::milliseconds(200);
// A worker under full load is idle for moments only: whoever wants to see one has to look often. Of all that
// linger together it is one look in this time.
constexpr Duration kLook = std::chrono::milliseconds(2);
constexpr Duration kLookAtFrozen = std::chrono::milliseconds(1);
// But the loop is there for others too: a look takes the kernel a walk through all connections, and patience
// may have no end. After each kManyLooks there is as much more time between two, and looks take a twentieth
// of the time.
constexpr int kManyLooks = 2000;
constexpr int kRestForLook = 20;
constexpr Duration kLongestPause = std::chrono::milliseconds(250);
constexpr Duration kLongestFreeze = std::chrono::milliseconds(500);
// One that accepts nothing any more is not waited for much longer than an operator would.
constexpr Duration kLongestQueue = std::chrono::seconds(5);

}  // namespace

void Watcher::let_linger(Duration drain, int before) {
    const TimePoint now = stack_.clock.now();
    const bool can = stack_.drain && up_ && !drain_;
    const bool begins = drain > Duration::zero() && can;
    const bool is_fewer = config_.numprocesses < before;
    has_lingering_ = false;
    for (auto& [id, process] : processes_) {
        if (process.leaves_sockets && process.wid <= config_.numprocesses) {
            has_lingering_ = true;
            continue;
        }
        const bool may = process.wid > config_.numprocesses && process.is_running() && process.stops == 0;
        // More of them are wanted: those that are still too many go on as they were.
        const bool ends = !may || (is_fewer && !begins);
        if (ends)
            stop_lingering(process);
        else if (begins && !process.lingers)
            process.lingers = {now + drain, now + kHandshake};
        else if (begins)  // whoever has less patience than the one before decides
            process.lingers->until = std::min(process.lingers->until, now + drain);
        // With nobody left there is nobody who gets new connections instead.
        if (ends && may && can && config_.numprocesses > 0 && has_listener(process.wid))
            process.lingers = {now + std::min(kLongestQueue, from_seconds(config_.graceful_timeout)),
                               now + kHandshake, false};
        has_lingering_ = has_lingering_ || process.lingers;
    }
    // What leaves keeps its listener to the end; of the others there is no more need.
    if (has_lingering_)
        drain_sockets();
    else
        trim_sockets();
}

// The slots of sockets that the watcher uses no more go, and all of them when it is removed: they get no new
// connections, and whoever has their listeners accepts what waits there before it is told to stop, if others
// get the new ones meanwhile. Until it is gone it keeps them.
void Watcher::leave_sockets() {
    const TimePoint now = stack_.clock.now();
    const Duration patience = std::min(kLongestQueue, from_seconds(config_.graceful_timeout));
    drain_sockets();
    for (auto& [id, process] : processes_) {
        const bool is_surplus = !is_removed_ && process.wid > config_.numprocesses;
        if (process.stops != 0 || is_surplus || !stack_.sockets.leaves(name(), process.wid)) continue;
        process.leaves_sockets = has_lingering_ = true;
        if (stack_.drain && process.is_running() && !stack_.sockets.leaving(name(), process.wid).empty())
            process.lingers = {now + patience, now + kHandshake, false};
    }
}

std::set<std::string> Watcher::unused_sockets() const {
    std::set<std::string> unused;
    for (const auto& socket : stack_.sockets.all()) unused.insert(to_lower(socket->config.name));
    for (const auto* socket : inherited_sockets(config_, stack_.sockets))
        unused.erase(to_lower(socket->config.name));
    unused.erase(to_lower(config_.stdin_socket));
    return unused;
}

bool Watcher::has_listener(model::Wid wid) const {
    const auto held = held_sockets(wid);
    return std::any_of(held.begin(), held.end(),
                       [](const auto& socket) { return socket.is_own && socket.has_connections; });
}

// Who accepts what its slot's listener gets.
void Watcher::tell_slots() const {
    if (!stack_.sockets.is_steering()) return;
    std::vector<bool> accepting(static_cast<std::size_t>(std::max(0, config_.numprocesses)), false);
    for (const auto& [id, process] : processes_) {
        const auto index = static_cast<std::size_t>(process.wid - 1);
        if (process.stops == 0 && process.counts() && !process.condemned && index < accepting.size())
            accepting[index] = true;
    }
    stack_.sockets.tell_workers(name(), accepting);
}

void Watcher::drain_sockets() {
    stack_.sockets.drain(name(), is_removed_ ? 0 : config_.numprocesses, unused_sockets());
}

// Those of a watcher that is removed are the arbiter's: another one may have its name.
void Watcher::trim_sockets() {
    if (is_removed_) return;
    const auto unused = unused_sockets();
    stack_.sockets.drain(name(), config_.numprocesses, unused);
    stack_.sockets.trim(name(), config_.numprocesses, unused);
}

void Watcher::let_idle_go() {
    if (!has_lingering_) return;
    int surplus = 0;
    for (auto& [id, process] : processes_) {
        if (process.wid > config_.numprocesses || process.leaves_sockets)
            ++surplus;
        else
            stop_lingering(process);  // wanted again
    }
    for (auto& [id, process] : processes_)
        if (process.lingers && process.is_running()) let_go_if_idle(process, surplus);
    if (surplus > 0) return;
    has_lingering_ = false;
    trim_sockets();
}

// One that is idle is over its time, and reconcile() stops it. Between being seen idle and its stop signal it
// could accept another connection; so it is stopped by SIGSTOP first, and counts as idle if it is when it
// stands still. The keeper sends its stop signal, and SIGCONT behind it.
void Watcher::let_go_if_idle(Process& process, int surplus) {
    const TimePoint now = stack_.clock.now();
    Process::Lingers& lingers = *process.lingers;
    if (lingers.until <= now || lingers.look_at > now) return;
    lingers.look_at = now + (process.frozen ? kLookAtFrozen : kLook * surplus);
    if (process.frozen && !stack_.drain->stands_still(process.pid)) {
        if (*process.frozen + kLongestFreeze <= now) thaw(process);
    } else if (!lingers.until_idle) {
        if (!stack_.drain->has_queued(stack_.sockets.leaving(name(), process.wid))) lingers.until = now;
    } else if (stack_.drain->has_work(process.pid, held_sockets(process.wid))) {
        thaw(process);
        look_less_often(lingers, surplus, now);
    } else if (!process.frozen && may_freeze() && stack_.drain->freeze(process.pid, process.pidfd.get())) {
        process.frozen = now;
        lingers.look_at = now + kLookAtFrozen;
    } else {
        lingers.until = now;
    }
}

// It had work in hand at the look that began then.
void Watcher::look_less_often(Process::Lingers& lingers, int surplus, TimePoint began) const {
    const Duration rest = kRestForLook * (stack_.clock.now() - began);
    const Duration pause = std::max(kLook * (1 + lingers.looks / kManyLooks), rest);
    lingers.look_at = began + std::min(pause * surplus, std::max(kLongestPause, kLook * surplus));
    ++lingers.looks;
}

// With a hook or a command in between, the stop signal comes when it comes: it must not stand still so long.
bool Watcher::may_freeze() const {
    return config_.stop_command.empty() && !is_hooked(model::HookPoint::BeforeSignal);
}

std::vector<SocketTable::Held> Watcher::held_sockets(model::Wid wid) const {
    std::vector<SocketTable::Held> held;
    const auto add = [&](const std::string& socket) {
        if (const auto found = stack_.sockets.held_by(socket, name(), wid)) held.push_back(*found);
    };
    for (const auto* socket : inherited_sockets(config_, stack_.sockets)) add(socket->config.name);
    if (!config_.stdin_socket.empty()) add(config_.stdin_socket);
    return held;
}

// Nobody stands still who is wanted; who is not gets SIGCONT with its stop signal.
void Watcher::stop_lingering(Process& process) {
    process.lingers.reset();
    if (process.wid <= config_.numprocesses) thaw(process);
}

void Watcher::thaw(Process& process) {
    if (!process.frozen) return;
    process.frozen.reset();
    stack_.keeper.signal(process.id, SIGCONT, keeper::Scope::Process, 0, false);
}

}  // namespace circus::supervise
