// Crew: the processes of one watcher, as `stats` and events tell of them: how many are ready, what they use,
// how long they boot, whether they flap. Pure: time is an argument.
//
// Where the watcher says what ready means, `stats` has it of each process, and the time until it was is
// measured: by the events of its birth and its readiness, or where these were missed by the looks. Elsewhere
// a process is ready when it is as old as its watcher's boot_time.
//
// What a process uses is its own and its children's. CPU is the use since the look before, so it counts from
// the second look at a ready one on: the first has its boot in it. It is averaged over Load::kAveraged.
//
// A reload is under way until an event says that it ended. Where none does, it ended kReloadOfOne for each
// worker after it began, or kLongestReload.
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
    void look(const nlohmann::json& info, int wanted, Time boot_time, Time now);
    void spawned(std::int64_t pid, Time now) { born_[pid] = now; }
    void became_ready(std::int64_t pid, Time now);
    void killed(std::int64_t pid) { asked_.insert(pid); }
    void reaped(std::int64_t pid, Time now);
    void flaps(Time now) { flapping_ = now; }  // somebody else has found out
    void reload_asked(Time now) { reload_ = now; }
    void reloaded() { reload_.reset(); }  // or it was given up, or something else took its place

    // From one arbiter to the next.
    void recall(std::optional<double> measured_boot, std::optional<Time> flapping) {
        measured_boot_ = measured_boot;
        flapping_ = flapping;
    }
    std::optional<double> measured_boot() const { return measured_boot_; }  // seconds
    std::optional<Time> flapping() const { return flapping_; }              // since when it was seen

    Fleet fleet(Time now) const;
    int alive() const { return alive_; }  // with those that are on their way out
    std::optional<double> cpu() const { return cpu_; }
    std::optional<double> rss() const { return rss_; }
    std::optional<double> rss_worker() const { return rss_worker_; }

  private:
    static constexpr Time kFlapping = std::chrono::seconds(30);
    static constexpr Time kShortLife = std::chrono::seconds(10);  // and a boot time
    static constexpr Time kReloadOfOne = std::chrono::minutes(1);
    static constexpr Time kLongestReload = std::chrono::minutes(30);
    static constexpr std::size_t kManyDeaths = 3;
    struct Known {
        bool was_seen = false;  // before
        bool was_ready = false;
        bool is_measured = false;
    };
    bool judge_ready(Known& known, const nlohmann::json& process, double age);
    void measured(Known& known, double seconds);
    void average_cpu(double used, Time now);

    std::map<std::int64_t, Known> known_;
    std::map<std::int64_t, Time> born_;
    std::set<std::int64_t> asked_;  // their end was asked for
    std::deque<Time> young_deaths_;
    std::optional<Time> flapping_, reload_;
    std::optional<double> measured_boot_;  // seconds
    Time boot_time_{};
    int wanted_ = 0, ready_ = 0, booting_ = 0, alive_ = 0;
    bool has_twins_ = false;  // an old and a new process share a wid
    struct Use {
        Time at;
        double cpu;  // of all ready ones
    };
    std::deque<Use> uses_;
    std::optional<double> cpu_, rss_, rss_worker_;
};

}  // namespace autoscaler
