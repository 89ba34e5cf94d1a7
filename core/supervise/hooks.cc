#include "supervise/hooks.hpp"

#include <fnmatch.h>
#include <utility>

#include "base/text.hpp"

namespace circus::supervise {

HookRegistry::Id HookRegistry::add(std::string point, std::string_view watchers, HookFn hook) {
    const Id id = next_++;
    hooks_[id] = {std::move(point), to_lower(watchers), std::move(hook)};
    return id;
}

void HookRegistry::remove(Id id) {
    hooks_.erase(id);
}

std::vector<HookFn> HookRegistry::matching(std::string_view point, std::string_view watcher) const {
    std::vector<HookFn> out;
    if (hooks_.empty()) return out;
    const std::string name = to_lower(watcher);
    for (const auto& [id, entry] : hooks_)
        if (entry.point == point && fnmatch(entry.watchers.c_str(), name.c_str(), 0) == 0)
            out.push_back(entry.hook);
    return out;
}

}  // namespace circus::supervise
