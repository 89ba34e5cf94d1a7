#include "supervise/ready_checks.hpp"

#include <csignal>
#include <sys/wait.h>
#include <utility>

#include "base/text.hpp"
#include "model/readiness.hpp"
#include "supervise/spawn_plan.hpp"
#include "sys/signals.hpp"

namespace circus::supervise {

using config::ReadyConfig;
using model::ProcessAct;
using model::ProcessEvent;

namespace {
// Else it says so by itself.
bool is_looked_for(ReadyConfig::Kind kind) {
    return kind == ReadyConfig::Kind::Tcp || kind == ReadyConfig::Kind::Http ||
           kind == ReadyConfig::Kind::Exec;
}
}  // namespace

ReadyChecks::ReadyChecks(const config::WatcherConfig& config, const Identity& identity, Stack& stack,
                         std::function<void(ChildId)> owns, std::function<void()> mark, Ready ready)
    : config_(config),
      identity_(identity),
      stack_(stack),
      owns_(std::move(owns)),
      mark_(std::move(mark)),
      ready_(std::move(ready)) {}

void ReadyChecks::begin(const Process& process) {
    Entry& entry = entries_[process.id];
    entry.ready = process.ready;
    entry.wid = process.wid;
    entry.pid = process.pid;
    if (is_looked_for(entry.ready.kind)) entry.next_look = stack_.clock.now();
    mark_();
}

void ReadyChecks::forget(ChildId id) {
    const auto at = entries_.find(id);
    if (at == entries_.end()) return;
    if (at->second.command != 0) kill(at->second.command);
    if (at->second.is_looked_at) {
        stack_.probes->drop(id);
        --looks_;
    }
    entries_.erase(at);
}

void ReadyChecks::close() {
    while (!entries_.empty()) forget(entries_.begin()->first);
}

std::string ReadyChecks::trouble(ChildId id) const {
    const auto at = entries_.find(id);
    return at == entries_.end() || at->second.trouble.empty() ? "" : cat(": ", at->second.trouble);
}

void ReadyChecks::found(ChildId id) {
    if (!entries_.contains(id)) return;
    found_.push_back(id);
    mark_();
}

std::optional<TimePoint> ReadyChecks::settle() {
    for (const ChildId id : std::exchange(found_, {})) {
        if (!entries_.contains(id)) continue;
        forget(id);
        ready_(id);
    }
    const TimePoint now = stack_.clock.now();
    look_at_due(now);
    std::optional<TimePoint> next;
    for (const auto& [id, entry] : entries_)
        // One that is due waits for its turn, and that comes with the end of another's command.
        if (entry.next_look > now && entry.next_look != TimePoint::max() &&
            (!next || entry.next_look < *next))
            next = entry.next_look;
    return next;
}

void ReadyChecks::look_at_due(TimePoint now) {
    for (auto& [id, entry] : entries_) {
        if (entry.next_look > now) continue;
        const bool is_command = entry.ready.kind == ReadyConfig::Kind::Exec;
        if (is_command ? children_.size() >= kCommandsAtOnce : looks_ >= kLooksAtOnce) continue;
        entry.next_look = TimePoint::max();
        const Status begun = is_command ? run(id, entry) : look(id, entry);
        if (!begun) look_later(entry, begun.error().text);
    }
}

void ReadyChecks::look_later(Entry& entry, std::string trouble) {
    entry.trouble = std::move(trouble);
    entry.command = 0;
    entry.pause = model::next_look(entry.pause);
    entry.next_look = stack_.clock.now() + entry.pause;
    mark_();
}

// ---- addresses ----

Status ReadyChecks::look(ChildId id, Entry& entry) {
    if (!stack_.probes) return Error{"nobody can look at it"};
    const auto address = entry.ready.kind == ReadyConfig::Kind::Tcp
                             ? config::parse_tcp_address(entry.ready.target)
                             : config::parse_http_url(entry.ready.target);
    if (!address) return Error{cat(entry.ready.target, ": ", address.error().text)};
    entry.is_looked_at = true;
    ++looks_;
    stack_.probes->look(id, *address);
    return Ok{};
}

void ReadyChecks::looked(ChildId id, const Status& answered) {
    const auto at = entries_.find(id);
    if (at == entries_.end() || !at->second.is_looked_at) return;
    at->second.is_looked_at = false;
    --looks_;
    if (answered)
        found(id);
    else
        look_later(at->second, cat(at->second.ready.target, ": ", answered.error().text));
}

// ---- commands ----

Status ReadyChecks::run(ChildId id, Entry& entry) {
    Child child;
    child.of = id;
    child.process.id = stack_.next_id++;
    child.process.wid = entry.wid;
    child.process.apply(ProcessEvent::Stop);
    const auto request = make_ready_request(config_, identity_, entry.ready.target, entry.wid, entry.pid,
                                            child.process.id, stack_);
    if (!request) return request.error();
    const ChildId command = child.process.id;
    entry.command = command;
    owns_(command);
    children_.emplace(command, std::move(child));
    stack_.keeper.spawn(command, *request);
    return Ok{};
}

void ReadyChecks::kill(ChildId id) {
    Child& child = children_.at(id);
    child.of = 0;
    if (child.process.apply(ProcessEvent::GraceOver) == ProcessAct::SendKill)
        stack_.keeper.signal(id, SIGKILL, keeper::Scope::Tree, 0, true);
}

void ReadyChecks::on_spawned(ChildId id, pid_t pid, UniqueFd pidfd) {
    Process& process = children_.at(id).process;
    process.pid = pid;
    process.pidfd = std::move(pidfd);
    if (process.apply(ProcessEvent::Spawned) == ProcessAct::SendKill)
        stack_.keeper.signal(id, SIGKILL, keeper::Scope::Tree, 0, true);
}

void ReadyChecks::on_spawn_failed(ChildId id, const std::string& why) {
    const ChildId of = children_.at(id).of;
    children_.erase(id);
    if (of != 0) look_later(entries_.at(of), cat("its check ", why));
    mark_();
}

void ReadyChecks::on_exited(ChildId id, int status) {
    const ChildId of = children_.at(id).of;
    children_.erase(id);
    mark_();  // another may take its turn
    if (of == 0) return;
    Entry& entry = entries_.at(of);
    entry.command = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return found(of);
    look_later(entry, WIFEXITED(status) ? cat("its check exited with ", WEXITSTATUS(status))
                                        : cat("its check was ended by ", sys::signal_name(WTERMSIG(status))));
}

void ReadyChecks::collect(std::vector<const Process*>& processes) const {
    for (const auto& [id, child] : children_) processes.push_back(&child.process);
}

}  // namespace circus::supervise
