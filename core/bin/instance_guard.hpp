// InstanceGuard: this circusd is the only one of its endpoint, and what an earlier one left is gone, before
// anything of the stack is bound or started. See sys/instance_file.hpp for the file and its locks.
//
// take() runs the loop until it is through:
//
//   Keeper's lock held      another circusd runs: refused; one that is stopping, or has not said its name
//   yet,
//                           is waited for. Our own keeper's (an arbiter before us took it): go on
//   Arbiter's lock held     the keeper was killed and the arbiter stops the stack, in 5 s: waited for, and
//                           killed when it takes much longer
//   Both free               processes of the instance before, if there are any, are named and stopped
//
// Afterwards it keeps a row for each child that the keeper is asked for, and for each unix socket's file.
// Loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "keeper/wire.hpp"
#include "loop/keeper_client.hpp"
#include "loop/loop.hpp"
#include "sys/instance_file.hpp"

namespace circus::bin {

class InstanceGuard {
  public:
    enum class Outcome : std::uint8_t { Ours, NotWanted };

    // `instance`: our keeper's. Both references outlive the guard.
    InstanceGuard(loop::Loop& loop, loop::KeeperClient& keeper, std::string instance);

    // `is_over`: nobody wants this circusd any more; asked while it waits. An error names the endpoint and
    // the process that has it. `passable`: whether others may pass through directories that are made.
    Result<Outcome> take(const std::string& endpoint, bool passable, const std::function<bool()>& is_over);

    // A further endpoint beside those there are (a change of the configuration): had at once or not at all.
    Status add(const std::string& endpoint, bool passable);
    void drop(const std::string& endpoint);

    // Of the unix sockets of the stack, before and after they are bound: a file that an earlier circusd of
    // this endpoint has left there, and that nobody listens on, is removed; which ones are ours is noted.
    void clear_away(const std::string& path, int type);
    void note_sockets(const std::vector<std::string>& paths);

    void on_spawn(keeper::ChildId id, const keeper::SpawnRequest& request);
    void on_spawned(const keeper::SpawnedMessage& spawned, int pidfd);
    void on_gone(keeper::ChildId id);  // or never started
    // A circusd that is started from now on waits for our end.
    void on_stopping();

  private:
    class Taking;
    struct Guarded {
        std::string endpoint;
        sys::InstanceFile file;
        sys::InstanceHeader header;
        keeper::HoldId hold;
    };
    void put(const sys::ChildRow& row);

    loop::Loop& loop_;
    loop::KeeperClient& keeper_;
    const std::string instance_;
    std::vector<Guarded> guarded_;  // one; two during a change of the configuration
    std::unordered_map<keeper::ChildId, sys::ChildRow> starting_;
    std::vector<sys::SocketRow> sockets_;
    bool is_told_full_ = false;
};

}  // namespace circus::bin
