#include "history.hpp"

#include <algorithm>

namespace flapping {

bool History::reaped(std::int64_t pid, Time now) {
    const auto at = processes_.find(pid);
    if (at == processes_.end()) return false;
    const Process process = at->second;
    processes_.erase(at);
    const Time life = now - process.born;
    longest_ = std::max(longest_, life);
    if (process.asked) return false;
    auto& lives = slots_[process.wid].lives;
    lives.push_back(life);
    if (lives.size() > kMostLives) lives.pop_front();
    return true;
}

bool History::flaps(int wid, const Slot& slot, const Limits& limits, Time now) const {
    const auto needed = static_cast<std::size_t>(std::max(1, limits.attempts));
    if (slot.lives.size() < needed) return false;
    Time left = limits.window;
    for (std::size_t i = slot.lives.size() - needed + 1; i < slot.lives.size(); ++i) {
        if (slot.lives[i] > left) return false;
        left -= slot.lives[i];
    }
    return !is_healthy(wid, limits, now);
}

bool History::is_healthy(int wid, const Limits& limits, Time now) const {
    return std::any_of(processes_.begin(), processes_.end(), [&](const auto& row) {
        const Process& process = row.second;
        return process.wid == wid && !process.asked && now - process.born > limits.window;
    });
}

bool History::others_are_healthy(const std::vector<int>& flapping, const Limits& limits, Time now) const {
    for (int wid = 1; wid <= limits.slots; ++wid)
        if (std::find(flapping.begin(), flapping.end(), wid) == flapping.end() &&
            !is_healthy(wid, limits, now))
            return false;
    return true;
}

std::vector<int> History::flapping(const Limits& limits, Time now) {
    std::vector<int> found;
    for (auto& [wid, slot] : slots_) {
        if (wid > limits.slots) continue;
        while (slot.lives.size() > static_cast<std::size_t>(std::max(1, limits.attempts)))
            slot.lives.pop_front();
        if (flaps(wid, slot, limits, now)) found.push_back(wid);
    }
    return found;
}

bool History::take_healthy(const Limits& limits) {
    const bool healthy = longest_ > limits.window;
    longest_ = {};
    return healthy;
}

}  // namespace flapping
