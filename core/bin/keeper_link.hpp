// KeeperLink: supervise's way to the keeper, and what takes its place when the keeper is gone.
//
//   Attached  requests travel to the keeper through loop::KeeperClient
//   Alone     the keeper was killed: nothing is spawned any more, signals go through the pidfds that came
//   with each
//             Spawned, and a pidfd that becomes readable is the exit of its process (whose status nobody can
//             know)
//
// A state that could not be saved, here or by the keeper, is sent again and again until it is.
//
// Loop's thread only. Alone is final: the arbiter stops the stack in order and exits.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bin/instance_guard.hpp"
#include "loop/keeper_client.hpp"
#include "loop/loop.hpp"
#include "loop/poll.hpp"
#include "loop/timer.hpp"
#include "supervise/arbiter.hpp"
#include "supervise/ports.hpp"

namespace circus::bin {

class KeeperLink final : public supervise::KeeperPort {
  public:
    KeeperLink(loop::Loop& loop, loop::KeeperClient& client, InstanceGuard& guard)
        : loop_(loop), client_(client), guard_(guard), retry_(loop, [this] { send_state(); }) {}

    void spawn(supervise::ChildId id, const keeper::SpawnRequest& request) override;
    void signal(supervise::ChildId id, int signo, keeper::Scope scope, pid_t pid, bool stopping) override;
    void hold(supervise::HoldId id, std::string_view name, int fd) override;
    // Once the state that does not name it any more is saved: settled().
    void drop(supervise::HoldId id) override;
    void save(const std::string& state) override;
    // What is saved along with it, of who is no watcher; not before there is something to go along with.
    void save_beside(std::string state);
    // The keeper has not got the last one.
    void unsaved() { retry(); }
    // At the end of each turn.
    void settled();

    // The keeper is gone. From now on every exit is told to `arbiter`.
    void go_alone(supervise::Arbiter& arbiter);
    bool is_alone() const { return arbiter_ != nullptr; }
    // Tells the arbiter what happened since the last call. Before settle(), each turn.
    void deliver();

  private:
    struct Orphan {
        pid_t pid = 0;
        int pidfd = -1;                // the Process's
        std::vector<loop::Poll> poll;  // none or one
    };
    void watch(supervise::ChildId id, const supervise::Process& process);
    void send_state();
    void retry();

    loop::Loop& loop_;
    loop::KeeperClient& client_;
    InstanceGuard& guard_;
    supervise::Arbiter* arbiter_ = nullptr;
    std::map<supervise::ChildId, Orphan> orphans_;
    std::vector<supervise::ChildId> failed_, exited_;
    std::vector<supervise::HoldId> dropped_;
    std::string state_, beside_;
    bool is_unsaved_ = false;
    Duration pause_{};  // before the next try
    TimePoint failed_at_{};
    loop::Timer retry_;
};

}  // namespace circus::bin
