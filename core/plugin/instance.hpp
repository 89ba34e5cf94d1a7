// Instance: one plugin of a library, alive: create, start, stop, destroy. In the arbiter or in circus-plugin.
//
//   Idle -> Running -> Stopping -> Gone        start() fails: Idle -> Gone
//
// In Gone everything of it is gone: registrations, what it owed, the object itself. The loop's thread.
#pragma once

#include <string>

#include "base/result.hpp"
#include "plugin/host_table.hpp"

namespace circus::plugin {

inline constexpr Milliseconds kStopDeadline{5000};

class Instance {
  public:
    enum class State { Idle, Running, Stopping, Gone };

    // `table` was checked. Both outlive the instance.
    Instance(HostTable& host, const circus_plugin& table);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    State state() const { return state_; }
    // `options`: complete, an object's text. An error names the step and the plugin's reason.
    Status start(const std::string& options);
    // False: it has no such function, it is to be restarted. An error: it goes on as it was.
    Result<bool> reconfigure(const std::string& options);
    // Gone once it has answered, or at the deadline.
    void stop(Milliseconds deadline = kStopDeadline);

  private:
    void end(bool had_its_chance);

    HostTable& host_;
    const circus_plugin table_;  // a copy: as much of it as this host knows
    void* self_ = nullptr;
    State state_ = State::Idle;
};

}  // namespace circus::plugin
