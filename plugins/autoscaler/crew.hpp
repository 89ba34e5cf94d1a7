// Crew: the processes of one watcher, as `stats` and events tell of them: how many are ready, what they use,
// how long they boot, whether they flap. Pure: time is an argument.
//
// Where the watcher says what ready means, `stats` has it of each process, and the time until it was is
// measured. Elsewhere a process is ready when it is as old as its watcher's boot_time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "policy.hpp"

namespace autoscaler {

class Crew {
  public:
    // `info`: of `stats`, pid -> process. `wanted`: numprocesses; processes above are on their way out.
    void look(const nlohmann::json& info, int wanted, Time boot_time);
    void spawned(std::int64_t pid, Time now) { born_[pid] = now; }
    void killed(std::int64_t pid) { asked_.insert(pid); }
    void reaped(std::int64_t pid, Time now);
    void flaps(Time now) { flapping_ = now; }  // somebody else has found out
    void reload_asked(Time now) { reload_ = now; }
    void reloaded() { reload_.reset(); }

    // From one arbiter to the next.
    void recall(std::optional<double> measured_boot, std::optional<Time> flapping) {
        measured_boot_ = measured_boot;
        flapping_ = flapping;
    }
    std::optional<double> measured_boot() const { return measured_boot_; }  // seconds
    std::optional<Time> flapping() const { return flapping_; }              // since when it was seen

    Fleet fleet(Time now) const;
    std::optional<double> cpu() const { return cpu_; }
    std::optional<double> rss() const { return rss_; }
    std::optional<double> rss_worker() const { return rss_worker_; }

  private:
    static constexpr Time kFlapping = std::chrono::seconds(30);
    static constexpr Time kShortLife = std::chrono::seconds(10);  // and a boot time
    static constexpr Time kReload = std::chrono::seconds(10);
    static constexpr std::size_t kManyDeaths = 3;
    struct Known {
        bool was_seen = false;  // before: its cpu is the use since then
        bool was_ready = false;
    };
    bool judge_ready(Known& known, const nlohmann::json& process, double age);

    std::map<std::int64_t, Known> known_;
    std::map<std::int64_t, Time> born_;
    std::set<std::int64_t> asked_;  // their end was asked for
    std::deque<Time> young_deaths_;
    std::optional<Time> flapping_, reload_;
    std::optional<double> measured_boot_;  // seconds
    Time boot_time_{};
    int wanted_ = 0, ready_ = 0, booting_ = 0;
    bool has_twins_ = false;  // an old and a new process share a wid
    std::optional<double> cpu_, rss_, rss_worker_;
};

}  // namespace autoscaler
