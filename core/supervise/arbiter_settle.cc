// The end of a turn: dirty watchers, sequences over several watchers, and the Dones that came due.
#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/arbiter.hpp"
#include "supervise/spawn_plan.hpp"

namespace circus::supervise {

void Arbiter::mark(Watcher& watcher) {
    if (watcher.is_marked()) return;
    watcher.set_marked(true);
    dirty_.push_back(&watcher);
}

void Arbiter::look_at_all() {
    const auto look = [this](Watcher& watcher) {
        watcher.look();
        mark(watcher);
    };
    for (const auto& [key, watcher] : watchers_) look(*watcher);
    for (const auto& watcher : removed_) look(*watcher);
}

void Arbiter::on_time() {
    const TimePoint now = stack_.clock.now();
    while (!alarms_.empty() && alarms_.begin()->first <= now) {
        Watcher* watcher = alarms_.begin()->second;
        alarms_.erase(alarms_.begin());
        alarm_of_.erase(watcher);
        watcher->look();
        mark(*watcher);
    }
    if (now >= safety_pass_) {
        safety_pass_ = now + from_seconds(std::max(0.1, config_.circus.check_delay));
        look_at_all();
        deaths_.look_at_memory();
    }
    if (quit_deadline_ && now >= *quit_deadline_) {
        log::error(cat("not stopped within ", config_.circus.stop_timeout, " s"));
        quit_now();
    }
    if (memory_.next() && now >= *memory_.next()) look_at_memory(now);
    if (loads_.next() && now >= *loads_.next()) loads_.look(now);
    start_due();
}

std::optional<TimePoint> Arbiter::next_alarm() const {
    TimePoint next = safety_pass_;
    if (memory_.next()) next = std::min(next, *memory_.next());
    if (loads_.next()) next = std::min(next, *loads_.next());
    if (!alarms_.empty()) next = std::min(next, alarms_.begin()->first);
    if (quit_deadline_) next = std::min(next, *quit_deadline_);
    for (const PendingStart& pending : pending_starts_) next = std::min(next, pending.at);
    return next;
}

void Arbiter::start_due() {
    const TimePoint now = stack_.clock.now();
    std::vector<PendingStart> later;
    for (PendingStart& pending : std::exchange(pending_starts_, {})) {
        if (pending.at > now) {
            later.push_back(std::move(pending));
        } else if (Watcher* watcher = find(pending.key)) {
            start_dependencies(*watcher);
            watcher->start(part_of(pending.batch, *watcher));
            mark(*watcher);
        } else {
            close_part(pending.batch);  // removed meanwhile
        }
    }
    pending_starts_ = std::move(later);
}

// True when something changed.
bool Arbiter::advance_stops() {
    bool changed = false;
    for (std::size_t i = 0; i < stops_.size();) {
        StopSequence& sequence = stops_[i];
        if (sequence.at < sequence.groups.size() && !sequence.stopped_group) {
            sequence.stopped_group = changed = true;
            // stop() may not reach into stops_, so the reference stays good.
            for (const auto& key : sequence.groups[sequence.at])
                if (Watcher* watcher = find(key)) stop(*watcher, {});
        }
        const auto gone = [this](const std::string& key) {
            const Watcher* watcher = find(key);
            // Started again by somebody else: then it is not this sequence's to wait for.
            return !watcher || watcher->is_gone() || watcher->is_up();
        };
        if (sequence.at < sequence.groups.size()) {
            const auto& group = sequence.groups[sequence.at];
            if (!std::all_of(group.begin(), group.end(), gone)) {
                ++i;
                continue;
            }
            ++sequence.at;
            sequence.stopped_group = false;
            changed = true;
            continue;
        }
        StopSequence through = std::move(sequence);
        stops_.erase(stops_.begin() + static_cast<std::ptrdiff_t>(i));
        changed = true;
        if (through.then_start) {
            std::reverse(through.groups.begin(), through.groups.end());
            start_in_order(through.groups, through.batch);
        } else {
            for (const auto& group : through.groups)
                for (std::size_t n = 0; n < group.size(); ++n) close_part(through.batch);
        }
    }
    return changed;
}

void Arbiter::drop_removed() {
    for (auto at = removed_.begin(); at != removed_.end();) {
        Watcher* watcher = at->get();
        if (!watcher->is_gone() || watcher->is_marked()) {
            ++at;
            continue;
        }
        if (!find(watcher->name())) {
            sockets_.trim(watcher->name(), 0);
            stack_.streams.forget(watcher->name());  // what its stop_command wrote
        }
        if (const auto alarm = alarm_of_.find(watcher); alarm != alarm_of_.end()) {
            alarms_.erase({alarm->second, watcher});
            alarm_of_.erase(alarm);
        }
        deaths_.forget(watcher->serial());
        places_.erase(watcher);
        held_.erase(watcher);
        unsaved_ = noted_.erase(watcher) > 0 || unsaved_;
        at = removed_.erase(at);
    }
}

void Arbiter::watch_sockets(Watcher& watcher) {
    std::vector<int> fds;
    Status watched = Ok{};
    if (watcher.is_awaiting()) {
        auto listeners = awaited_listeners(watcher.config(), sockets_);
        if (listeners)
            fds = std::move(*listeners);
        else
            watched = listeners.error();
    }
    if (Status rest = demand_.await(watcher, fds); !rest) watched = std::move(rest);
    // The safety pass tries again.
    if (!watched)
        log::error(cat("watcher ", watcher.name(), ": cannot wait for a connection: ", watched.error().text));
}

void Arbiter::settle() {
    if (dirty_.empty() && finished_.empty() && stops_.empty() && unnoted_.empty()) return;
    save_wanted();
    std::vector<Watcher*> settled;
    bool again = true;
    while (again) {
        for (Watcher* watcher : std::exchange(dirty_, {})) {
            watcher->set_marked(false);
            settled.push_back(watcher);
            const std::optional<TimePoint> look_again = watcher->settle();
            watch_sockets(*watcher);
            obey_critical(*watcher);
            if (!held_.empty()) release_dependents(*watcher);
            if (const auto alarm = alarm_of_.find(watcher); alarm != alarm_of_.end()) {
                if (look_again && *look_again == alarm->second) continue;
                alarms_.erase({alarm->second, watcher});
                alarm_of_.erase(alarm);
            }
            if (look_again) {
                alarms_.insert({*look_again, watcher});
                alarm_of_[watcher] = *look_again;
            }
        }
        again = advance_stops();
        for (auto& [done, result] : std::exchange(finished_, {})) {
            if (done) done(std::move(result));
            again = true;
        }
        again = again || !dirty_.empty();
    }
    note(settled);
    deaths_.settle();
    if (!removed_.empty()) drop_removed();
    watch_memory();
    loads_.want(stack_.clock.now());
    save();
}

}  // namespace circus::supervise
