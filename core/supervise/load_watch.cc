#include "supervise/load_watch.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "sys/procfs.hpp"
#include "sys/sock_diag.hpp"

namespace circus::supervise {

Duration LoadWatch::period_after(Duration cost) {
    return std::clamp<Duration>(cost * kShare, kPeriod, kLongestPeriod);
}

void LoadWatch::want(TimePoint now) {
    if (!worker_ || !sockets_.is_steering_by_load())
        next_.reset();
    else if (!next_)
        next_ = now + period_;
}

void LoadWatch::look(TimePoint now) {
    next_ = now + period_;
    // The worker may be held up by a file or a name server: rounds do not pile up behind it.
    if (busy_) return;
    auto round = std::make_shared<Round>(sockets_.to_measure());
    if (round->empty() || is_quiet(*round)) return;
    busy_ = true;
    const auto cost = std::make_shared<Duration>();
    worker_->run(
        [round, cost] {
            const Duration begin = sys::cpu_of_thread();
            for (auto& each : *round) measure(each);
            *cost = sys::cpu_of_thread() - begin;
        },
        [this, round, cost, now] {
            busy_ = false;
            period_ = period_after(*cost);
            if (next_) next_ = std::max(*next_, now + period_);
            std::erase_if(*round, [](const auto& each) { return each.rows.empty(); });
            for (auto& each : *round) {
                sockets_.feed(each);
                each.address.reset();
                each.marks.reset();
            }
            last_ = std::move(*round);
        });
}

void LoadWatch::measure(SocketTable::Measured& measured) {
    const auto counts = sys::connections_by_mark(measured.address.get(), measured.marks.get());
    // Then what was fed before and what was picked since go on.
    if (!counts) return measured.rows.clear();
    for (auto& row : measured.rows)
        if (const auto found = counts->find(row.mark); found != counts->end()) row.load = found->second;
}

// As it was, and nothing in hand: so it is still.
bool LoadWatch::is_quiet(const Round& round) const {
    return std::equal(round.begin(), round.end(), last_.begin(), last_.end(),
                      [](const auto& a, const auto& b) {
                          return a.socket == b.socket &&
                                 std::equal(a.rows.begin(), a.rows.end(), b.rows.begin(), b.rows.end(),
                                            [](const auto& now, const auto& before) {
                                                return now.slot == before.slot && now.place == before.place &&
                                                       now.mark == before.mark && now.picks == before.picks &&
                                                       before.load == 0;
                                            });
                      });
}

}  // namespace circus::supervise
