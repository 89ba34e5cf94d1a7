#include "model/order.hpp"

#include <algorithm>

namespace circus::model {

std::vector<std::vector<std::size_t>> in_groups(const std::vector<Ordered>& all) {
    std::vector<std::vector<std::size_t>> groups;
    std::vector<bool> placed(all.size(), false);
    std::size_t left = all.size();
    while (left > 0) {
        std::vector<std::size_t> group;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const auto& needs = all[i].depends_on;
            if (placed[i] ||
                !std::all_of(needs.begin(), needs.end(), [&](std::size_t n) { return placed[n]; }))
                continue;
            if (!group.empty() && all[i].priority > all[group.front()].priority) group.clear();
            if (group.empty() || all[i].priority == all[group.front()].priority) group.push_back(i);
        }
        if (group.empty())
            for (std::size_t i = 0; i < all.size(); ++i)
                if (!placed[i]) group.push_back(i);
        for (const std::size_t i : group) placed[i] = true;
        left -= group.size();
        groups.push_back(std::move(group));
    }
    return groups;
}

}  // namespace circus::model
