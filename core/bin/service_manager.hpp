// ServiceManager: what systemd, or another manager that speaks sd_notify(3), is told of circusd. Through the
// keeper, which is the service's main process; so a watchdog's ping says that both processes turn, and one
// that is missing that the manager is to act. Without NOTIFY_SOCKET everything here does nothing.
//
//   READY=1      sockets and endpoints are bound: when a daemon's caller would return
//   RELOADING=1  with MONOTONIC_USEC, until READY=1: SIGHUP, and changes of the configuration
//   STATUS=      watchers and processes, when the figures change
//   WATCHDOG=1   twice as often as WATCHDOG_USEC asks for, from READY on
//   STOPPING=1   once the stack is being stopped; by the keeper where it must do that by itself
//
// On the loop's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "loop/keeper_client.hpp"
#include "loop/loop.hpp"
#include "loop/timer.hpp"

namespace circus::bin {

class ServiceManager {
  public:
    // Of "NAME=value": whether it is for circusd alone. No worker is to have it.
    static bool is_own_variable(std::string_view entry);

    // `status`: the line to be shown, asked for now and then. `daemon`: the main process.
    ServiceManager(loop::Loop& loop, loop::KeeperClient& keeper, pid_t daemon,
                   std::function<std::string()> status);

    void ready();
    // As often as the one, so often the other.
    void reloading();
    void reloaded();
    void stopping();

  private:
    void tell(std::string_view text);
    void look();

    loop::KeeperClient& keeper_;
    const std::function<std::string()> status_;
    const bool is_there_;
    bool is_ready_ = false, is_stopping_ = false;
    int reloads_ = 0;
    std::string told_;  // the last status
    Duration watchdog_{};
    loop::Timer looks_, pings_;
};

}  // namespace circus::bin
