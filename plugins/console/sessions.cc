#include "sessions.hpp"

#include <algorithm>

#include "secrets.hpp"

namespace console {

namespace {
constexpr std::size_t kMostSessions = 256;
}

std::string Sessions::open(const std::string& user, Role role, Time now) {
    std::erase_if(sessions_, [now](const auto& each) { return each.second.ends <= now; });
    if (sessions_.size() >= kMostSessions)
        sessions_.erase(
            std::min_element(sessions_.begin(), sessions_.end(),
                             [](const auto& a, const auto& b) { return a.second.ends < b.second.ends; }));
    std::string id = random_word();
    sessions_[id] = {user, role, random_word(), now + lifetime_};
    return id;
}

const Session* Sessions::find(std::string_view id, Time now) {
    const auto at = sessions_.find(id);
    return at == sessions_.end() || at->second.ends <= now ? nullptr : &at->second;
}

void Sessions::close(std::string_view id) {
    if (const auto at = sessions_.find(id); at != sessions_.end()) sessions_.erase(at);
}

}  // namespace console
