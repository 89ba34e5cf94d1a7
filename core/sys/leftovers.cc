#include "sys/leftovers.hpp"

#include <algorithm>
#include <csignal>

#include "sys/procfs.hpp"

namespace circus::sys {

namespace {

// A descendant carries no mark if its parent took its environment away: by its parent it is known to be one.
// Identified first, found again second: what has the number of one that went in between is not found.
void kill_descendants(const PidRef& process) {
    std::vector<PidRef> below;
    for (const pid_t pid : descendants_of(process.pid))
        if (const auto known = identify(pid)) below.push_back(*known);
    if (below.empty()) return;
    const auto again = descendants_of(process.pid);
    if (!is_alive(process)) return;
    for (const PidRef& one : below)
        if (std::find(again.begin(), again.end(), one.pid) != again.end()) signal_exactly(one, SIGKILL);
}

}  // namespace

Leftovers::Leftovers(std::string instance, std::vector<ChildRow> rows) : instance_(std::move(instance)) {
    for (ChildRow& row : rows) rows_.emplace(row.child, row);
}

std::vector<Marked> Leftovers::find() const {
    std::vector<Marked> found = processes_of(instance_);
    for (const auto& [child, row] : rows_) {
        const auto is_it = [&row = row](const Marked& marked) { return marked.process == row.process; };
        if (is_alive(row.process) && std::none_of(found.begin(), found.end(), is_it))
            found.push_back({row.process, child});
    }
    return found;
}

std::vector<PidRef> Leftovers::look(TimePoint now) {
    std::map<std::uint64_t, std::vector<PidRef>> by_child;
    std::vector<PidRef> all;
    for (const Marked& marked : find()) {
        by_child[marked.child].push_back(marked.process);
        all.push_back(marked.process);
    }
    is_waiting_ = false;
    for (const auto& [child, members] : by_child) stop(child, members, now);
    if (is_waiting_)
        killed_since_.reset();
    else if (!killed_since_)
        killed_since_ = now;
    return all;
}

void Leftovers::stop(std::uint64_t child, const std::vector<PidRef>& members, TimePoint now) {
    const auto known = rows_.find(child);
    const ChildRow row = known == rows_.end() ? ChildRow{} : known->second;
    const auto is_there = [&members](const PidRef& one) {
        return std::find(members.begin(), members.end(), one) != members.end();
    };
    auto family = families_.find(child);
    if (family == families_.end()) {
        // The child itself, or the oldest of what it left behind.
        const PidRef leader =
            is_there(row.process)
                ? row.process
                : *std::min_element(members.begin(), members.end(), [](auto& a, auto& b) {
                      return a.start_ticks != b.start_ticks ? a.start_ticks < b.start_ticks : a.pid < b.pid;
                  });
        family = families_.emplace(child, Family{leader, now + row.graceful_timeout}).first;
        signal_exactly(leader, row.stop_signal);
    }
    if (now < family->second.kill_at && is_there(family->second.leader)) {
        is_waiting_ = true;
        return;
    }
    for (const PidRef& member : members) {
        kill_descendants(member);
        signal_exactly(member, SIGKILL);
    }
}

}  // namespace circus::sys
