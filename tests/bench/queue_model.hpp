// QueueModel: requests, workers and a queue in virtual time, to judge policies of scaling by. Requests come
// at random (Poisson) or evenly, take a random (exponential) or fixed time, and wait in one queue for a
// worker that takes one at a time. A worker boots first. One that is too many goes when it is idle: no
// request is lost.
//
// The same seed gives the same run.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

namespace queue_model {

struct Options {
    double service = 0.1;    // seconds, in the mean
    double boot = 3;         // seconds
    double cpu_share = 0.7;  // of a request's time that is work and not waiting for others
    bool random = true;
    std::uint64_t seed = 1;
};

class QueueModel {
  public:
    static constexpr double kTick = 0.01;  // seconds

    QueueModel(const Options& options, int workers) : options_(options), random_(options.seed) {
        for (int i = 0; i < workers; ++i) workers_.push_back({0, 0});
        target_ = workers;
    }

    void set_workers(int count) {
        target_ = std::max(0, count);
        while (static_cast<int>(workers_.size()) < target_) workers_.push_back({now_ + options_.boot, 0});
        retire();
    }

    // One tick of time, in which requests come at `rate` a second.
    void tick(double rate) {
        now_ += kTick;
        const int came = arrivals(rate);
        accepted_ += static_cast<double>(came);
        for (int i = 0; i < came; ++i) queue_.push_back(now_);
        busy_ = 0;
        for (Worker& worker : workers_) {
            if (worker.ready_at > now_) continue;
            // A worker that is through within a tick takes the next one in what is left of it.
            double left = kTick;
            while (left > 0) {
                if (worker.work <= 0) {
                    if (queue_.empty()) break;
                    waits_.push_back(now_ - queue_.front());
                    queue_.pop_front();
                    worker.work = service();
                }
                const double done = std::min(left, worker.work);
                worker.work -= done;
                left -= done;
                busy_seconds_ += done;
            }
            if (worker.work > 0) ++busy_;
        }
        retire();
        worker_seconds_ += static_cast<double>(workers_.size()) * kTick;
        peak_ = std::max(peak_, static_cast<int>(workers_.size()));
    }

    double now() const { return now_; }
    double queue() const { return static_cast<double>(queue_.size()); }
    double in_flight() const { return busy_; }
    double accepted() const { return accepted_; }
    int wanted() const { return target_; }
    int ready() const {
        return static_cast<int>(std::count_if(workers_.begin(), workers_.end(),
                                              [this](const Worker& w) { return w.ready_at <= now_; }));
    }
    int booting() const { return static_cast<int>(workers_.size()) - ready(); }
    int peak() const { return peak_; }
    // Since it was asked last, of a ready worker: per cent of one core, and share of time with a request.
    struct Use {
        double cpu, busyness;
    };
    Use take_use() {
        const double seconds = std::max(kTick, now_ - use_since_) * std::max(1, ready());
        const double busyness = std::min(1.0, busy_seconds_ / seconds);
        busy_seconds_ = 0;
        use_since_ = now_;
        return {busyness * options_.cpu_share * 100, busyness};
    }
    double average_workers() const { return worker_seconds_ / std::max(kTick, now_); }
    // Of what was waited in the queue, in seconds; what waits still counts with what it has waited.
    double wait(double share) const {
        std::vector<double> all = waits_;
        for (const double since : queue_) all.push_back(now_ - since);
        if (all.empty()) return 0;
        std::sort(all.begin(), all.end());
        return all[std::min(all.size() - 1,
                            static_cast<std::size_t>(share * static_cast<double>(all.size())))];
    }
    std::size_t served() const { return waits_.size(); }

  private:
    struct Worker {
        double ready_at;
        double work;  // seconds of its request that are left
    };
    int arrivals(double rate) {
        if (options_.random) return std::poisson_distribution<int>(std::max(1e-9, rate * kTick))(random_);
        owed_ += rate * kTick;
        const int whole = static_cast<int>(owed_);
        owed_ -= whole;
        return whole;
    }
    double service() {
        if (!options_.random) return options_.service;
        return std::exponential_distribution<double>(1 / options_.service)(random_);
    }
    // Those that boot first, the youngest first; then idle ones.
    void retire() {
        for (auto at = workers_.end();
             static_cast<int>(workers_.size()) > target_ && at != workers_.begin();) {
            --at;
            if (at->ready_at > now_ || at->work <= 0) at = workers_.erase(at);
        }
    }

    Options options_;
    std::mt19937_64 random_;
    std::deque<double> queue_;  // when each came
    std::vector<Worker> workers_;
    int target_ = 0, peak_ = 0;
    double now_ = 0, owed_ = 0, accepted_ = 0, busy_ = 0;
    double busy_seconds_ = 0, use_since_ = 0, worker_seconds_ = 0;
    std::vector<double> waits_;
};

}  // namespace queue_model
