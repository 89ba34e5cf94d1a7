#include "loop/worker.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>

namespace circus::loop {

struct Worker::Shared {
    struct Job {
        std::function<void()> job, then;
    };
    explicit Shared(Inbox::Sender sender) : done(std::move(sender)) {}

    const Inbox::Sender done;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;
    bool closing = false;
    bool ended = false;  // work() touches nothing any more
};

Worker::Worker(Loop& loop) : inbox_(loop), shared_(std::make_shared<Shared>(inbox_.sender())) {}

Worker::~Worker() {
    close();
}

void Worker::run(std::function<void()> job, std::function<void()> then) {
    {
        const std::lock_guard lock(shared_->mutex);
        if (shared_->closing) return;
        shared_->jobs.push_back({std::move(job), std::move(then)});
    }
    shared_->changed.notify_all();
    if (thread_.joinable()) return;
    try {
        thread_ = std::thread([shared = shared_] { work(shared); });
    } catch (const std::system_error&) {
        // The system has no thread to give: late is better than never.
        std::deque<Shared::Job> jobs;
        {
            const std::lock_guard lock(shared_->mutex);
            jobs.swap(shared_->jobs);
        }
        for (auto& each : jobs) {
            each.job();
            shared_->done.post(std::move(each.then));
        }
    }
}

bool Worker::close(Milliseconds patience) {
    std::deque<Shared::Job> dropped;
    std::unique_lock lock(shared_->mutex);
    shared_->closing = true;
    dropped.swap(shared_->jobs);
    shared_->changed.notify_all();
    if (!thread_.joinable()) return true;
    const bool ended = shared_->changed.wait_for(lock, patience, [this] { return shared_->ended; });
    lock.unlock();
    if (ended)
        thread_.join();
    else
        thread_.detach();
    return ended;
}

void Worker::work(const std::shared_ptr<Shared>& shared) {
    std::unique_lock lock(shared->mutex);
    while (true) {
        shared->changed.wait(lock, [&] { return shared->closing || !shared->jobs.empty(); });
        if (shared->closing) break;
        Shared::Job next = std::move(shared->jobs.front());
        shared->jobs.pop_front();
        lock.unlock();
        next.job();
        next.job = {};  // before `then` is on its way: who holds the rest is the loop's thread alone
        shared->done.post(std::move(next.then));
        lock.lock();
    }
    shared->ended = true;
    shared->changed.notify_all();
}

}  // namespace circus::loop
