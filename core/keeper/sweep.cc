// Signals to more than one process, and the sweep: SIGKILL for what a gone child left behind.
//
// A stranger is a child of the keeper that it did not start: an orphan that came to it as the subreaper.
// Whose it is, is told by its session (a child is its session's leader; the kernel gives a session's number
// to no new process while a member lives) or, if it made a session of its own, by the mark in its
// environment.
#include <csignal>

#include "keeper/service.hpp"
#include "keeper/service_tables.hpp"

namespace circus::keeper {

namespace {

// New descendants can appear while we look; a round that finds none ends it. What outruns so many rounds is
// met again by the sweep after the next death.
constexpr int kRounds = 8;

// Sends the signal to all of g_found that it was not sent to before. Returns how many those were.
std::size_t signal_found(pid_t self, int signo) {
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < g_found.size(); ++i) {
        if (g_signalled.contains(g_found[i].pid)) continue;
        g_signalled.add(g_found[i]);
        if (signal_process(g_found[i], self, signo)) ++fresh;
    }
    return fresh;
}

// Appends our own children that the question says yes to.
template <class Question>
void append_own(pid_t self, Question&& is_wanted) {
    std::size_t i = g_found.size();
    append_children(self, g_found);
    while (i < g_found.size())
        if (is_wanted(g_found[i].pid))
            ++i;
        else
            g_found.drop(i);
}

}  // namespace

bool Service::is_stranger(pid_t pid) const {
    return pid != arbiter_pid_ && !g_children.by_pid(pid);
}

bool Service::belongs_to(pid_t stranger, const Child& child) const {
    ProcessStat stat;
    if (!is_stranger(stranger) || !read_stat(stranger, stat)) return false;
    return stat.session == child.pid || read_mark(stranger, hello_.instance) == child.id;
}

Service::Leftover Service::left_behind(pid_t stranger) const {
    ProcessStat stat;
    if (!is_stranger(stranger) || !read_stat(stranger, stat)) return Leftover::No;
    if (stat.state != 'Z' || stat.threads > 1) {
        if (g_children.by_pid(stat.session)) return Leftover::No;  // of a live child: that one's own business
        if (const auto* gone = g_gone.by_pid(stat.session))
            return gone->kill_tree ? Leftover::Yes : Leftover::No;
        if (const ChildId id = read_mark(stranger, hello_.instance); id != 0) {
            const Child* const live = g_children.by_id(id);
            if (live && live->pid != 0) return Leftover::No;
            const auto* gone = g_gone.by_id(id);
            return gone && gone->kill_tree ? Leftover::Yes : Leftover::No;
        }
        if (!read_stat(stranger, stat)) return Leftover::No;
    }
    // On its way out it shows no mark any more, and what it started has not come to us, or has since we
    // looked for our children.
    return stat.is_exiting ? Leftover::Unknown : Leftover::No;
}

void Service::signal_tree(const Child& child, int signo) {
    g_signalled.clear();
    const int rounds = signo == SIGKILL ? kRounds : 1;
    for (int round = 0; round < rounds; ++round) {
        g_found.clear();
        g_found.add({child.pid, self_});
        append_own(self_, [&](pid_t pid) { return belongs_to(pid, child); });
        append_descendants(g_found, 0);
        if (signal_found(self_, signo) == 0) return;
    }
}

void Service::signal_children(const Child& child, int signo, pid_t only) {
    g_found.clear();
    append_children(child.pid, g_found);
    for (std::size_t i = 0; i < g_found.size(); ++i)
        if (only == 0 || only == g_found[i].pid) signal_process(g_found[i], self_, signo);
}

bool Service::sweep() {
    g_signalled.clear();
    bool any = false;
    for (int round = 0; round < kRounds; ++round) {
        g_found.clear();
        append_own(self_, [&](pid_t pid) {
            const Leftover found = left_behind(pid);
            any = any || found == Leftover::Unknown;
            return found == Leftover::Yes;
        });
        append_descendants(g_found, 0);
        if (signal_found(self_, SIGKILL) == 0) break;
        any = true;
    }
    return any;
}

}  // namespace circus::keeper
