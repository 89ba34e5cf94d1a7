#include "throttle.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>

namespace console {

namespace {

constexpr int kFree = 5;
constexpr int kFreeOfAllNames = 20;
constexpr auto kLongest = std::chrono::seconds(60);
constexpr auto kForget = std::chrono::minutes(10);
constexpr std::size_t kMostEntries = 4096;
constexpr std::size_t kLongestName = 64;

std::string network_of(const std::string& address) {
    in6_addr v6{};
    const std::string plain = address.substr(0, address.find('%'));  // without the link's name
    if (inet_pton(AF_INET6, plain.c_str(), &v6) != 1) return address;
    char text[INET6_ADDRSTRLEN] = {};
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof text);
    } else {
        std::fill(v6.s6_addr + 8, v6.s6_addr + 16, std::uint8_t{0});
        inet_ntop(AF_INET6, &v6, text, sizeof text);
    }
    return text;
}

std::string key_of_token(const std::string& address) {
    return "token " + network_of(address);
}
std::string key_of_all(const std::string& address) {
    return "all " + network_of(address);
}
// A visitor may write a name of any length.
std::string key_of_user(const std::string& address, const std::string& user) {
    return "user " + network_of(address) + ' ' + user.substr(0, kLongestName);
}

std::chrono::seconds pause_after(int failures, int free) {
    if (failures < free) return std::chrono::seconds(0);
    return std::min(std::chrono::seconds(1 << std::min(failures - free, 6)), kLongest);
}

}  // namespace

Throttle::Wait Throttle::wait_of(const std::string& key, int free, Time now) {
    const auto at = entries_.find(key);
    if (at == entries_.end()) return std::nullopt;
    if (now - at->second.last > kForget) {
        entries_.erase(at);
        return std::nullopt;
    }
    const Time next = at->second.last + pause_after(at->second.failures, free);
    return now < next ? Wait(std::chrono::ceil<std::chrono::seconds>(next - now)) : std::nullopt;
}

void Throttle::count(const std::string& key, Time now) {
    make_room(now);
    Entry& entry = entries_[key];
    ++entry.failures;
    entry.last = now;
}

Throttle::Wait Throttle::login(const std::string& address, const std::string& user, Time now) {
    const std::string all = key_of_all(address);
    const std::string own = key_of_user(address, user);
    // Nothing is less than any pause.
    if (const Wait wait = std::max(wait_of(all, kFreeOfAllNames, now), wait_of(own, kFree, now))) return wait;
    count(all, now);
    count(own, now);
    return std::nullopt;
}

void Throttle::succeeded(const std::string& address, const std::string& user) {
    const auto own = entries_.extract(key_of_user(address, user));
    const auto all = entries_.find(key_of_all(address));
    if (own.empty() || all == entries_.end()) return;
    all->second.failures -= own.mapped().failures;
    if (all->second.failures <= 0) entries_.erase(all);
}

Throttle::Wait Throttle::wrong_token(const std::string& address, Time now) {
    const std::string key = key_of_token(address);
    if (const Wait wait = wait_of(key, kFree, now)) return wait;
    count(key, now);
    return std::nullopt;
}

void Throttle::make_room(Time now) {
    if (entries_.size() < kMostEntries) return;
    std::erase_if(entries_, [now](const auto& each) { return now - each.second.last > kForget; });
    if (entries_.size() < kMostEntries) return;
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
        return a.second.last < b.second.last;
    }));
}

}  // namespace console
