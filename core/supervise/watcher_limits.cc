// What a watcher waits for before it starts, and what its processes may use of memory.
#include <csignal>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "model/memory.hpp"
#include "supervise/watcher.hpp"

namespace circus::supervise {

using model::DependencyState;
using model::ProcessEvent;

// Asked on the way up from Closed only: a restart of what runs waits for nobody.
bool Watcher::is_held() {
    if (!gated_) return false;
    std::string why;
    const DependencyState state = gate_(*this, why);
    if (state == DependencyState::Awaited) {
        if (!std::exchange(told_held_, true)) log::info(cat("watcher ", name(), " waits for ", why));
        return true;
    }
    gated_ = false;
    if (state == DependencyState::Met) return false;
    fail_waiters({Await::Up, Await::Count}, cat("not started: ", why));
    give_up(cat("not started: ", why));
    return true;
}

std::string Watcher::trouble_of(model::Wid wid) const {
    const auto at = static_cast<std::size_t>(wid) - 1;
    return at < slots_.size() ? slots_[at].why : std::string();
}

// ---- memory ----

void Watcher::on_memory(const std::map<ChildId, std::uint64_t>& bytes) {
    std::vector<Process*> processes;
    std::vector<model::MemoryUse> uses;
    for (auto& [id, process] : processes_) {
        if (!process.is_active() || process.state == model::ProcessState::Killing) continue;
        const auto use = bytes.find(id);
        const bool leaving = process.outdated || process.condemned || !process.is_running();
        processes.push_back(&process);
        uses.push_back({use == bytes.end() ? 0 : use->second, leaving});
    }
    const auto verdict = model::judge(uses, {config_.memory_soft.bytes, config_.memory_max.bytes});
    for (const std::size_t i : verdict.kill) kill_for_memory(*processes[i], uses[i].bytes);
    // A reload replaces it anyway, and a stop is quicker.
    if (verdict.replace && up_ && !drain_ && !reloading_)
        replace_for_memory(*processes[*verdict.replace], uses[*verdict.replace].bytes);
}

void Watcher::tell_memory(const Process& process, std::uint64_t bytes, const char* limit) {
    log::warning(
        cat("watcher ", name(), ": process ", process.pid, " (wid ", process.wid, ") ", process.why));
    if (process.wid <= static_cast<model::Wid>(slots_.size())) slot(process.wid).why = process.why;
    stack_.events.publish(name(), "memory",
                          {{"process_pid", process.pid},
                           {"wid", process.wid},
                           {"time", stack_.clock.wall()},
                           {"bytes", bytes},
                           {"limit", limit}});
}

void Watcher::kill_for_memory(Process& process, std::uint64_t bytes) {
    look();
    process.why = cat("used ", human_bytes(static_cast<double>(bytes)), ", more than memory_max");
    process.cause = model::EndCause::Memory;
    tell_memory(process, bytes, "max");
    process.condemned = true;
    stop_awaiting(process);
    process.apply(ProcessEvent::Stop);
    process.apply(ProcessEvent::GraceOver);
    aim(process, {.signo = SIGKILL, .scope = keeper::Scope::Tree, .stopping = true, .announce = true});
}

void Watcher::replace_for_memory(Process& process, std::uint64_t bytes) {
    look();
    process.why = cat("used ", human_bytes(static_cast<double>(bytes)), ", more than memory_soft");
    process.cause = model::EndCause::Memory;
    tell_memory(process, bytes, "soft");
    process.outdated = true;
}

}  // namespace circus::supervise
