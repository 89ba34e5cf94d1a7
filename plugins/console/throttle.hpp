// Throttle: how soon an address may try again to say who it is.
//
// Of one user's name five failures are free, and twenty of whatever names; then each makes the pause twice as
// long, up to a minute. A success forgets what belongs to its own name and nothing else: who knows one
// password does not get to guess another for ever. Wrong tokens are counted for themselves, five of them
// free. Ten quiet minutes forget it all.
//
// An IPv6 address counts with all of its /64, which one machine has for itself; one that stands for an IPv4
// address, as a listener on [::] sees those, is that.
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
    // How long to wait. Nothing: go on, and the attempt is counted.
    using Wait = std::optional<std::chrono::seconds>;
    Wait login(const std::string& address, const std::string& user, Time now);
    void succeeded(const std::string& address, const std::string& user);
    // Of one that is known to be wrong: a right one never waits.
    Wait wrong_token(const std::string& address, Time now);
    std::size_t remembered() const { return entries_.size(); }

  private:
    struct Entry {
        int failures = 0;
        Time last{};
    };
    Wait wait_of(const std::string& key, int free, Time now);
    void count(const std::string& key, Time now);
    void make_room(Time now);
    std::map<std::string, Entry> entries_;
};

}  // namespace console
