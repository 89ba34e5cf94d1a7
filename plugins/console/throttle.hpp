// Throttle: how soon an address may try to log in again. Five failures are free; then each makes the pause
// twice as long, up to a minute. Ten quiet minutes, or a success, forget them. An IPv6 address counts with
// all of its /64, which one machine has for itself.
//
// An attempt counts as failed from its beginning, so that many at once are no way around it.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>

namespace console {

using Time = std::chrono::steady_clock::time_point;

class Throttle {
  public:
    // Nothing: go on, and the attempt is counted. Else how long to wait.
    std::optional<std::chrono::seconds> attempt(const std::string& address, Time now);
    void succeeded(const std::string& address);
    std::size_t remembered() const { return entries_.size(); }

  private:
    struct Entry {
        int failures = 0;
        Time last{}, next{};
    };
    void make_room(Time now);
    std::map<std::string, Entry> entries_;
};

}  // namespace console
