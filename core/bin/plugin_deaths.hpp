// PluginDeaths: in whose calls arbiters died, and when. Nothing but memory: the time is an argument.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>

#include "base/clock.hpp"

namespace circus::bin {

class PluginDeaths {
  public:
    // How long one counts. A plugin that hangs takes arbiter_timeout for each of its deaths, one that does so
    // before the arbiter is ready three times as long, and there must be room for three of them.
    static Duration window(Duration arbiter_timeout, bool is_loading = false) {
        return std::max<Duration>(std::chrono::seconds(60), (is_loading ? 8 : 4) * arbiter_timeout);
    }

    // In the order of time. How many there are of that plugin now.
    std::size_t add(const std::string& plugin, TimePoint at) {
        all_.emplace_back(plugin, at);
        return static_cast<std::size_t>(std::count_if(
            all_.begin(), all_.end(), [&plugin](const auto& death) { return death.first == plugin; }));
    }
    void forget_before(TimePoint at) {
        while (!all_.empty() && all_.front().second < at) all_.pop_front();
    }
    void forget(const std::string& plugin) {
        std::erase_if(all_, [&plugin](const auto& death) { return death.first == plugin; });
    }
    const std::deque<std::pair<std::string, TimePoint>>& all() const { return all_; }

  private:
    std::deque<std::pair<std::string, TimePoint>> all_;
};

}  // namespace circus::bin
