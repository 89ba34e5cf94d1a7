#include "supervise/demand.hpp"

#include <algorithm>

namespace circus::supervise {

Status Demand::await(Watcher& watcher, const std::vector<int>& fds) {
    if (fds.empty() && waiters_.erase(&watcher) == 0) return Ok{};
    if (!fds.empty()) waiters_.insert(&watcher);
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        auto& [fd, watchers] = *at;
        if (std::find(fds.begin(), fds.end(), fd) == fds.end()) std::erase(watchers, &watcher);
        if (!watchers.empty()) {
            ++at;
            continue;
        }
        port_.forget(fd);
        at = waiting_.erase(at);
    }
    Status status = Ok{};
    for (const int fd : fds) {
        const auto at = waiting_.find(fd);
        if (at == waiting_.end()) {
            if (Status watched = port_.watch(fd))
                waiting_[fd] = {&watcher};
            else
                status = std::move(watched);
        } else if (std::find(at->second.begin(), at->second.end(), &watcher) == at->second.end()) {
            at->second.push_back(&watcher);
        }
    }
    return status;
}

std::vector<Watcher*> Demand::hit(int fd) {
    const auto at = waiting_.find(fd);
    if (at == waiting_.end()) return {};
    std::vector<Watcher*> watchers = std::move(at->second);
    waiting_.erase(at);
    port_.forget(fd);
    return watchers;
}

}  // namespace circus::supervise
