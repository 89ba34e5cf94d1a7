#include "model/reconcile.hpp"

#include <algorithm>

namespace circus::model {

namespace {

bool is_alive(ProcessState s) {
    return s == ProcessState::Idle || s == ProcessState::Running;
}

// One pass over the view; the Plan grows as the questions are asked in order.
class Reconciliation {
  public:
    Reconciliation(const WatcherView& view, TimePoint now) : view_(view), now_(now) {
        const auto slots = static_cast<std::size_t>(std::max(0, view.numprocesses));
        current_.assign(slots, kNone);
        occupied_.assign(slots, false);
        outdated_.assign(view.processes.size(), false);
    }

    Plan run() {
        survey();
        if (view_.up) {
            look_at_canary();
            spawn();
            retire_outdated();
        } else if (view_.armed) {
            await();
        }
        return std::move(plan_);
    }

  private:
    static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

    void look_at(TimePoint when) {
        if (!plan_.look_again || when < *plan_.look_again) plan_.look_again = when;
    }
    bool wanted_wid(Wid wid) const { return wid >= 1 && wid <= view_.numprocesses; }
    static std::size_t slot(Wid wid) { return static_cast<std::size_t>(wid - 1); }

    // Stops what has no place, kills what overstayed its grace, and learns which slots are filled.
    void survey() {
        for (std::size_t i = 0; i < view_.processes.size(); ++i) {
            const ProcessView& p = view_.processes[i];
            if (p.state == ProcessState::Stopping) {
                if (p.grace_over <= now_)
                    plan_.kill.push_back(i);
                else
                    look_at(p.grace_over);
            }
            if (wanted_wid(p.wid)) occupied_[slot(p.wid)] = true;
            if (!is_alive(p.state)) continue;
            const bool ends = !view_.up || view_.drain;
            if ((ends ? p.leaves_sockets : !wanted_wid(p.wid)) && !p.condemned && lingers(i)) continue;
            if (p.condemned || !wanted_wid(p.wid) || (ends && !view_.hold_stop)) {
                plan_.stop.push_back(i);
                continue;
            }
            if (ends) continue;
            if (p.ready_by && is_late(i)) continue;
            outdated_[i] = p.outdated;
            if (!p.outdated && p.expires) {
                if (*p.expires <= now_) {
                    plan_.expired.push_back(i);
                    outdated_[i] = true;
                } else {
                    look_at(*p.expires);
                }
            }
            if (!outdated_[i]) current_[slot(p.wid)] = i;
        }
    }

    bool lingers(std::size_t i) {
        const ProcessView& p = view_.processes[i];
        if (!p.lingers || *p.lingers <= now_) return false;
        look_at(std::min(*p.lingers, p.lingers_look));
        return true;
    }

    // One that is late goes, and what it was to replace stays: whoever carries this out says so first.
    bool is_late(std::size_t i) {
        const ProcessView& p = view_.processes[i];
        if (*p.ready_by > now_) {
            look_at(*p.ready_by);
            return false;
        }
        plan_.late.push_back(i);
        plan_.stop.push_back(i);
        return true;
    }

    // Only once nothing of it is left: what still ends may yet accept what is there, and would do so beside
    // the new processes.
    void await() {
        if (!view_.processes.empty() || view_.finishing) return;
        if (view_.await_not_before > now_)
            look_at(view_.await_not_before);
        else
            plan_.await = true;
    }

    // While it is on, nothing but the canaries is started beside the old ones, and nothing is stopped.
    void look_at_canary() {
        const int count = std::min(view_.canary.count, view_.numprocesses);
        if (count == 0 || view_.drain) return;
        canary_ = count;
        for (Wid wid = 1; wid <= count; ++wid)
            if (!counts(current_[slot(wid)])) return;
        if (!view_.canary.since) {
            plan_.canary_begins = true;
            look_at(now_ + view_.canary.watch);
        } else if (*view_.canary.since + view_.canary.watch > now_) {
            look_at(*view_.canary.since + view_.canary.watch);
        } else {
            plan_.canary_passed = true;
            canary_ = 0;
        }
    }

    void spawn() {
        if (view_.hold_spawn || (view_.drain && !view_.processes.empty())) return;
        std::optional<TimePoint> last = view_.last_spawn;
        for (Wid wid = 1; wid <= view_.numprocesses; ++wid) {
            if (current_[slot(wid)] != kNone) continue;
            // NewFirst may put a replacement beside an outdated process; a stopping or condemned one frees
            // its slot only when it is gone, so that a plain kill never doubles a wid.
            if (occupied_[slot(wid)] && !replaces_outdated(wid)) continue;
            const SlotView* row = find_slot(wid);
            if (row && row->spent) continue;
            if (row && row->asked) {
                if (view_.warmup > Duration::zero()) return;  // the next one is asked after this one's spawn
                continue;
            }
            if (row && row->not_before > now_) {
                look_at(row->not_before);
                continue;
            }
            if (last && view_.warmup > Duration::zero() && *last + view_.warmup > now_) {
                look_at(*last + view_.warmup);
                return;
            }
            plan_.spawn.push_back(wid);
            last = now_;
        }
    }

    bool replaces_outdated(Wid wid) {
        if (canary_ > 0 ? wid > canary_ : view_.replacement == Replacement::OneByOne) return false;
        build_index();
        if (!has_outdated_[slot(wid)] || has_other_[slot(wid)]) return false;
        return canary_ > 0 || view_.replacement != Replacement::Rolling || has_room();
    }

    // Whatever is not gone yet takes room, and so does what fills an empty slot.
    bool has_room() const {
        std::size_t there = plan_.spawn.size();
        for (const ProcessView& p : view_.processes)
            if (wanted_wid(p.wid)) ++there;
        return there < current_.size() + static_cast<std::size_t>(std::max(0, view_.rollout.surge));
    }

    void build_index() {
        if (!has_outdated_.empty()) return;
        has_outdated_.assign(occupied_.size(), false);
        has_other_.assign(occupied_.size(), false);
        for (std::size_t i = 0; i < view_.processes.size(); ++i) {
            const ProcessView& p = view_.processes[i];
            if (!wanted_wid(p.wid)) continue;
            // An outdated process that is already stopping still counts as the one being replaced.
            if (outdated_[i] || (p.outdated && !p.condemned))
                has_outdated_[slot(p.wid)] = true;
            else
                has_other_[slot(p.wid)] = true;
        }
    }

    const SlotView* find_slot(Wid wid) const {
        // Slots are kept in wid order by the caller, one row a wid from 1; a shorter table has no rows for
        // the rest.
        const auto at = slot(wid);
        return at < view_.slots.size() && view_.slots[at].wid == wid ? &view_.slots[at] : nullptr;
    }

    bool counts(std::size_t i) const {
        return i != kNone && view_.processes[i].state == ProcessState::Running &&
               !view_.processes[i].unproven;
    }

    void retire_outdated() {
        if (view_.drain || !plan_.late.empty() || canary_ > 0) return;
        if (view_.replacement == Replacement::OneByOne) return retire_next();
        if (view_.replacement == Replacement::Rolling) return retire_some();
        if (view_.reloading &&
            !std::all_of(current_.begin(), current_.end(), [this](std::size_t i) { return counts(i); }))
            return;
        for (std::size_t i = 0; i < view_.processes.size(); ++i)
            if (outdated_[i] && counts(current_[slot(view_.processes[i].wid)]) && !lingers(i))
                plan_.stop.push_back(i);
    }

    // The oldest outdated process, once every other slot is current and nothing is on its way out.
    void retire_next() {
        std::size_t oldest = kNone;
        for (std::size_t i = 0; i < view_.processes.size(); ++i) {
            const ProcessView& p = view_.processes[i];
            if (!is_alive(p.state)) return;
            if (p.state == ProcessState::Idle || p.unproven) return;
            if (outdated_[i] && (oldest == kNone || p.started < view_.processes[oldest].started)) oldest = i;
        }
        if (!plan_.spawn.empty() || oldest == kNone) return;
        for (std::size_t s = 0; s < current_.size(); ++s)
            if (current_[s] == kNone && !occupied_[s])
                return;  // a replacement waits for its back-off or warm-up
        if (!lingers(oldest)) plan_.stop.push_back(oldest);
    }

    // Those whose replacement counts; and, oldest first, as many without one as may be missing.
    void retire_some() {
        std::vector<std::size_t> alone;
        int missing = 0;
        for (std::size_t s = 0; s < current_.size(); ++s) {
            const SlotView* row = find_slot(static_cast<Wid>(s + 1));
            if (!counts(current_[s]) && !(row && row->spent)) ++missing;
        }
        for (std::size_t i = 0; i < view_.processes.size(); ++i) {
            if (!outdated_[i]) continue;
            const std::size_t replacement = current_[slot(view_.processes[i].wid)];
            if (counts(replacement)) {
                if (!lingers(i)) plan_.stop.push_back(i);
                continue;
            }
            if (counts(i)) --missing;
            if (replacement == kNone) alone.push_back(i);
        }
        std::sort(alone.begin(), alone.end(), [this](std::size_t a, std::size_t b) {
            return view_.processes[a].started < view_.processes[b].started;
        });
        for (const std::size_t i : alone) {
            const Wid wid = view_.processes[i].wid;
            if (std::find(plan_.spawn.begin(), plan_.spawn.end(), wid) != plan_.spawn.end()) continue;
            if (counts(i) && missing >= view_.rollout.unavailable) continue;
            if (lingers(i)) continue;
            if (counts(i)) ++missing;
            plan_.stop.push_back(i);
        }
    }

    const WatcherView& view_;
    const TimePoint now_;
    Plan plan_;
    int canary_ = 0;
    std::vector<std::size_t> current_;  // by slot: index of its current process
    std::vector<bool> occupied_;        // by slot: any process, whatever its state
    std::vector<bool> outdated_;        // by process
    std::vector<bool> has_outdated_, has_other_;
};

}  // namespace

Plan reconcile(const WatcherView& view, TimePoint now) {
    return Reconciliation(view, now).run();
}

}  // namespace circus::model
