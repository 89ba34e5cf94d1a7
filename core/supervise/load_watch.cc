#include "supervise/load_watch.hpp"

#include <algorithm>
#include <utility>

#include "sys/idle.hpp"
#include "sys/sock_diag.hpp"

namespace circus::supervise {

void LoadWatch::want(TimePoint now) {
    if (!worker_ || !sockets_.is_steering_by_load())
        next_.reset();
    else if (!next_)
        next_ = now + kPeriod;
}

void LoadWatch::look(TimePoint now, Workers workers) {
    next_ = now + kPeriod;
    // The worker may be held up by a file or a name server: rounds do not pile up behind it.
    if (busy_) return;
    auto round = std::make_shared<Round>(sockets_.to_measure());
    if (round->empty() || is_quiet(*round)) return;
    busy_ = true;
    worker_->run(
        [round, workers = std::move(workers)] {
            for (auto& each : *round) measure(each, workers);
        },
        [this, round] {
            busy_ = false;
            std::erase_if(*round, [](const auto& each) { return each.rows.empty(); });
            for (auto& each : *round) {
                sockets_.feed(each);
                each.address.reset();
            }
            last_ = std::move(*round);
        });
}

void LoadWatch::measure(SocketTable::Measured& measured, const Workers& workers) {
    auto there = sys::load_at(measured.address.get());
    // Then what was fed before and what was picked since go on.
    if (!there) return measured.rows.clear();
    const auto take = [&](auto&& held_by) {
        for (auto& row : measured.rows) {
            const auto pids = workers.find(row.slot);
            if (pids == workers.end()) continue;
            for (const pid_t pid : pids->second) row.load += held_by(pid, there->accepted);
        }
    };
    for (auto& row : measured.rows)
        if (const auto queue = there->queues.find(row.inode); queue != there->queues.end())
            row.load = queue->second;
    take(sys::take_held);
    // Few programs accept in a child, and to look for children costs as much again.
    if (!there->accepted.empty()) take(sys::take_held_below);
}

// As it was, and nothing in hand: so it is still.
bool LoadWatch::is_quiet(const Round& round) const {
    return std::equal(round.begin(), round.end(), last_.begin(), last_.end(),
                      [](const auto& a, const auto& b) {
                          return a.socket == b.socket &&
                                 std::equal(a.rows.begin(), a.rows.end(), b.rows.begin(), b.rows.end(),
                                            [](const auto& now, const auto& before) {
                                                return now.slot == before.slot && now.place == before.place &&
                                                       now.inode == before.inode &&
                                                       now.picks == before.picks && before.load == 0;
                                            });
                      });
}

}  // namespace circus::supervise
