#include "throttle.hpp"

#include <algorithm>
#include <arpa/inet.h>

namespace console {

namespace {

constexpr int kFree = 5;
constexpr auto kLongest = std::chrono::seconds(60);
constexpr auto kForget = std::chrono::minutes(10);
constexpr std::size_t kMostAddresses = 4096;

std::string network_of(const std::string& address) {
    in6_addr v6{};
    if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return address;
    return {reinterpret_cast<const char*>(v6.s6_addr), 8};
}

}  // namespace

std::optional<std::chrono::seconds> Throttle::attempt(const std::string& address, Time now) {
    make_room(now);
    Entry& entry = entries_[network_of(address)];
    if (now - entry.last > kForget) entry = {};
    if (now < entry.next) return std::chrono::ceil<std::chrono::seconds>(entry.next - now);
    ++entry.failures;
    entry.last = now;
    const int over = std::min(entry.failures - kFree, 6);
    entry.next = over < 0 ? now : now + std::min(std::chrono::seconds(1 << over), kLongest);
    return std::nullopt;
}

void Throttle::succeeded(const std::string& address) {
    entries_.erase(network_of(address));
}

void Throttle::make_room(Time now) {
    if (entries_.size() < kMostAddresses) return;
    std::erase_if(entries_, [now](const auto& each) { return now - each.second.last > kForget; });
    if (entries_.size() < kMostAddresses) return;
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
        return a.second.last < b.second.last;
    }));
}

}  // namespace console
