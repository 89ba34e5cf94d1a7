#include "loop/inbox.hpp"

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace circus::loop {

struct Inbox::Shared {
    std::mutex mutex;
    std::vector<std::function<void()>> tasks;
    std::optional<Async> wake;  // empty: the Inbox is gone
};

Inbox::Inbox(Loop& loop) : shared_(std::make_shared<Shared>()) {
    // A weak pointer: the callback lives in the Async, which lives in what it would keep alive.
    shared_->wake.emplace(loop, [weak = std::weak_ptr(shared_)] {
        if (const auto shared = weak.lock()) deliver(shared);
    });
}

Inbox::~Inbox() {
    std::vector<std::function<void()>> dropped;
    const std::lock_guard lock(shared_->mutex);
    // Under the lock, so that no post() is about to send() to an Async that closes.
    shared_->wake.reset();
    dropped.swap(shared_->tasks);
}

void Inbox::deliver(const std::shared_ptr<Shared>& shared) {
    std::vector<std::function<void()>> tasks;
    {
        const std::lock_guard lock(shared->mutex);
        tasks.swap(shared->tasks);
    }
    for (auto& task : tasks) {
        task();
        // Its owner may have gone in the task; only this thread resets `wake`, so no lock is needed.
        if (!shared->wake) return;
    }
}

bool Inbox::Sender::post(std::function<void()> task) const {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->wake) return false;
    shared_->tasks.push_back(std::move(task));
    shared_->wake->send();
    return true;
}

}  // namespace circus::loop
