// Upgrade: circusd goes on with another binary. It is looked at first, in the worker's thread: whether it
// reads the configuration, and what a keeper of this version writes down. Then the keeper execs it, with its
// pid, its children and its descriptors, and the arbiter of the new binary takes over from this one.
//
//   Idle -> Looking -> Asked (the keeper) -> Idle (it could not; everything is as it was), or this process
//   leaves
//
// The loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "control/command_registry.hpp"
#include "loop/keeper_client.hpp"
#include "supervise/ports.hpp"

namespace circus::bin {

class Upgrade {
  public:
    // Adds the command `upgrade`. `leave` is called once, after the answer.
    Upgrade(control::CommandRegistry& registry, loop::KeeperClient& keeper, supervise::WorkerPort& worker,
            std::string configuration, std::function<void()> leave);
    ~Upgrade();
    Upgrade(const Upgrade&) = delete;
    Upgrade& operator=(const Upgrade&) = delete;

    // `binary` empty: the one that this process was started from, as it is by now.
    void begin(std::string binary, control::CommandRegistry::Answered answered);
    void on_upgraded(int error);

  private:
    void end(const Result<Json>& result);

    control::CommandRegistry& registry_;
    loop::KeeperClient& keeper_;
    supervise::WorkerPort& worker_;
    const std::string configuration_;
    const std::function<void()> leave_;
    std::string binary_;  // empty: Idle
    control::CommandRegistry::Answered answered_;
};

}  // namespace circus::bin
