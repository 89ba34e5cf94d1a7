// Facts: each finds its watcher, sets data there, and marks it.
#include "supervise/arbiter.hpp"

namespace circus::supervise {

Watcher* Arbiter::owner(ChildId id) {
    const auto at = owners_.find(id);
    return at == owners_.end() ? nullptr : at->second;
}

void Arbiter::on_spawned(ChildId id, pid_t pid, UniqueFd pidfd) {
    if (Watcher* watcher = owner(id)) {
        watcher->on_spawned(id, pid, std::move(pidfd));
        mark(*watcher);
    }
}

void Arbiter::on_spawn_failed(ChildId id, keeper::SpawnStage stage, int error, int detail) {
    if (Watcher* watcher = owner(id)) {
        owners_.erase(id);
        watcher->on_spawn_failed(id, stage, error, detail);
        mark(*watcher);
    }
}

void Arbiter::on_exited(ChildId id, int status, const rusage& usage) {
    if (Watcher* watcher = owner(id)) {
        owners_.erase(id);
        watcher->on_exited(id, status, usage);
        mark(*watcher);
    }
}

void Arbiter::on_readable(int fd) {
    for (Watcher* watcher : demand_.hit(fd)) {
        start_dependencies(*watcher);
        watcher->on_connection();
        mark(*watcher);
    }
}

void Arbiter::on_looked(ChildId id, const Status& answered) {
    if (Watcher* watcher = owner(id)) watcher->on_looked(id, answered);
}

void Arbiter::on_notified(const std::vector<pid_t>& lineage) {
    // The nearest: a worker may be a circusd with workers of its own.
    for (const pid_t pid : lineage)
        for (const auto& [key, watcher] : watchers_) {
            if (watcher->config().ready.kind == config::ReadyConfig::Kind::Spawned) continue;
            if (const Process* process = watcher->find_pid(pid);
                process && process->ready.kind == config::ReadyConfig::Kind::Notify) {
                watcher->on_ready(process->id);
                return;
            }
        }
}

}  // namespace circus::supervise
