#include "sessions.hpp"

#include <algorithm>
#include <cstdint>

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
    tell();
    return id;
}

const Session* Sessions::find(std::string_view id, Time now) {
    const auto at = sessions_.find(id);
    return at == sessions_.end() || at->second.ends <= now ? nullptr : &at->second;
}

void Sessions::close(std::string_view id) {
    if (const auto at = sessions_.find(id); at != sessions_.end()) {
        sessions_.erase(at);
        tell();
    }
}

// The clock of Time is the machine's: it goes on in another process.
void Sessions::tell() const {
    if (!changed_) return;
    circus::Json kept{{"of", of_}, {"sessions", circus::Json::array()}};
    for (const auto& [id, each] : sessions_)
        kept["sessions"].push_back({id, each.user, each.role == Role::Operate, each.csrf,
                                    each.ends.time_since_epoch() / std::chrono::milliseconds(1)});
    changed_(kept);
}

void Sessions::recall(const circus::Json& kept, const std::string& of, Time now) {
    of_ = of;
    if (!kept.is_object() || kept.value("of", std::string()) != of || !kept.contains("sessions")) return;
    for (const circus::Json& each : kept["sessions"]) {
        const Time ends{std::chrono::milliseconds(each.at(4).get<std::int64_t>())};
        if (ends > now && ends <= now + lifetime_)
            sessions_[each.at(0).get<std::string>()] = {each.at(1).get<std::string>(),
                                                        each.at(2).get<bool>() ? Role::Operate : Role::Read,
                                                        each.at(3).get<std::string>(), ends};
    }
}

}  // namespace console
