// Which of the listeners of one address, each of them a slot's, get new connections.
//
// Pure: it is told how the slots are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace circus::model {

struct SlotService {
    bool has_worker = false;  // somebody accepts: it runs, is ready, and was not told to stop
    bool is_leaving = false;  // the slot is to go: what is queued there has to be accepted first
};

// Indices of those that get them. Where nobody accepts at all, they wait for who comes next: on every
// listener that does not leave, or in a group that leaves as a whole on any.
inline std::vector<std::size_t> chosen_slots(const std::vector<SlotService>& slots) {
    const auto those = [&slots](auto&& matches) {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < slots.size(); ++i)
            if (matches(slots[i])) found.push_back(i);
        return found;
    };
    auto chosen = those([](const SlotService& slot) { return slot.has_worker && !slot.is_leaving; });
    if (chosen.empty()) chosen = those([](const SlotService& slot) { return !slot.is_leaving; });
    if (chosen.empty()) chosen = those([](const SlotService&) { return true; });
    return chosen;
}

// The lowest number that none of these has. `taken` may be in any order.
inline unsigned free_place(std::vector<unsigned> taken) {
    std::sort(taken.begin(), taken.end());
    unsigned free = 0;
    for (const unsigned place : taken)
        if (place == free) ++free;
    return free;
}

}  // namespace circus::model
