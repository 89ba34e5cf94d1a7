// reload: how it begins, and how it ends. What happens in between is decided by model::reconcile().
#include <algorithm>
#include <csignal>
#include <set>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

using config::ReloadMode;

ReloadMode Watcher::mode_of(const ReloadRequest& request) const {
    switch (request.kind) {
        case ReloadKind::AsConfigured:
            return config_.send_hup ? ReloadMode::Hup : config_.reload_mode;
        case ReloadKind::Graceful:
            return ReloadMode::Graceful;
        case ReloadKind::Sequential:
            return ReloadMode::Sequential;
        case ReloadKind::Terminate:
            return ReloadMode::Terminate;
    }
    return ReloadMode::Graceful;
}

void Watcher::reload(const ReloadRequest& request, Done done) {
    look();
    const ReloadMode mode = mode_of(request);
    if (request.canary == 0 && (!up_ || drain_ || mode == ReloadMode::Terminate))
        return restart(std::move(done));
    stack_.events.asked(name(), "reload");
    if (request.canary == 0 && mode == ReloadMode::Hup) return send_hup(std::move(done));
    if (const Status begun = begin_reload(request, mode); !begun) {
        finish_(std::move(done), begun.error());
        return;
    }
    wait_for(Await::Reloaded, std::move(done));
    reloading_ = true;
    outdated_below_ = stack_.next_id;
    forget_failures();
    for (auto& [id, process] : processes_)
        if (!process.condemned) process.outdated = true;
    for (Slot& s : slots_) s.renewed = false;
    for (Slot& s : slots_) s.spent = false;
}

Status Watcher::begin_reload(const ReloadRequest& request, ReloadMode mode) {
    if (request.canary > 0 && (!up_ || drain_))
        return Error{cat(name(), " does not run: there is nothing to compare a canary with"), 5};
    if (request.canary > 0 && (mode == ReloadMode::Terminate || mode == ReloadMode::Hup))
        return Error{"a canary needs a reload that starts new processes beside the old ones", 5};
    const auto surge = request.max_surge ? request.max_surge : config_.max_surge;
    rollout_ = {surge.value_or(1), request.max_unavailable.value_or(config_.max_unavailable)};
    const bool rolling = surge || request.max_unavailable;
    if (rolling && rollout_.surge <= 0 && rollout_.unavailable <= 0)
        return Error{"with max_surge and max_unavailable 0 nothing can be replaced", 5};
    replacement_ = mode == ReloadMode::Sequential ? model::Replacement::OneByOne
                   : rolling                      ? model::Replacement::Rolling
                                                  : model::Replacement::NewFirst;
    canary_ = {std::min(request.canary, config_.numprocesses), request.canary_watch, {}};
    return Ok{};
}

void Watcher::send_hup(Done done) {
    for (auto& [id, process] : processes_)
        if (process.is_running()) aim(process, {.signo = SIGHUP});
    publish("reload");
    if (!done) return;
    OpResult result;
    for (const Process* process : active()) result.kept.push_back(process->pid);
    std::sort(result.kept.begin(), result.kept.end());
    finish_(std::move(done), std::move(result));
}

void Watcher::end_reload(bool completed, const std::string& why) {
    reloading_ = false;
    outdated_below_ = 0;
    replacement_ = model::Replacement::NewFirst;
    canary_ = {};
    if (completed) {
        publish("reload");
        return;
    }
    // The new program is of no use: what runs stays, as it is, and what was started beside it goes.
    const std::string reason = failures_ > 0 ? cat(failures_, " failed spawns: ", why) : why;
    log::error(cat("watcher ", name(), ": reload given up, the old processes stay: ", reason));
    stack_.events.publish(name(), "reload_failed", {{"time", stack_.clock.wall()}, {"reason", why}});
    forget_failures();
    std::set<model::Wid> kept_wids;
    for (auto& [id, process] : processes_) {
        if (!std::exchange(process.outdated, false))
            process.condemned = process.condemned || kept_wids.contains(process.wid);
        else if (process.is_running())
            kept_wids.insert(process.wid);
    }
    if (hooks_) hooks_->cancel({model::HookPoint::BeforeSpawn});
    for (Slot& s : slots_) s.asked = s.cleared = false;
    look();
    fail_waiters({Await::Reloaded}, cat("reload given up, the old processes stay: ", why));
}

}  // namespace circus::supervise
