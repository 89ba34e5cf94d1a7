// Policy: how many workers a watcher should have. Pure: signals come in, a decision with its explanation goes
// out; no clock, no host, nothing is started or stopped.
//
// Driven by whoever asks decide() about once a second, and says by applied() what was carried out of it: a
// decision that was not (a dry run) leaves no trace in the limits of the next.
//
// Each signal that is configured has a wish; wanted is the largest of them, within min and max:
//   busy      in flight, averaged, over concurrency * target, and `spare` more
//   queue     the same and what it takes to drain the queue in kDrain, while one stands; one more at least
//             where nothing boots
//   cpu, external, latency
// While nobody is ready yet, and for kFirstWork after it, what waits is the boot's doing: neither a queue nor
// the latency of then says how many are wanted.
// Up goes at once, but no faster than max(* growth_factor, + growth_step) in a worker's boot time: those that
// boot are capacity already. Down goes to the largest wish of the last `window`, a tenth every kShrinkPause,
// and not within kCalm of a growth. A growth soon after a shrink lengthens the window, quiet shortens it.
//
// Invariants: a signal that is missing never makes the fleet smaller; nothing changes while the watcher flaps
// or is being reloaded; memory_limit is never exceeded by a growth.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "load.hpp"

namespace autoscaler {

struct Settings {
    int min = 1;
    int max = 10;
    double concurrency = 1;  // requests that one worker handles at once
    double target = 0.7;     // how busy a worker should be
    int spare = 0;
    std::optional<double> cpu_target{};       // per cent of one core, of a worker
    std::optional<double> external_target{};  // of the external figure, for one worker
    std::optional<double> latency_target{};   // ms
    std::optional<double> memory_limit{};     // bytes, of all workers
    Time down_window = std::chrono::seconds(120);
    double growth_factor = 2;
    int growth_step = 4;
    std::optional<Time> growth_period{};  // in the place of the boot time
};

struct Fleet {
    int wanted = 0;  // numprocesses: what the last decisions amount to
    int ready = 0;
    int booting = 0;
    Time boot_time{};  // how long one of these workers takes, as far as is known
    bool is_flapping = false;
    bool is_reloading = false;
    bool may_be_zero = false;  // something starts it again when there is work: an on_demand socket
};

struct Signals {
    Fleet fleet;
    bool has_sockets = false;  // so the load is a signal that is expected
    std::optional<LoadReading> load{};
    std::optional<double> cpu{};         // mean of the ready workers, per cent of one core
    std::optional<double> external{};    // nothing: nobody has told it of late
    std::optional<double> latency{};     // p95, ms
    std::optional<Time> latency_at{};    // when that was measured
    std::optional<double> rss{};         // bytes, of all workers
    std::optional<double> rss_worker{};  // median of the ready ones
};

struct Wish {
    std::string_view reason;
    int workers = 0;
};

struct Decision {
    Time at{};
    Signals signals;
    std::vector<Wish> wishes;
    std::vector<std::string_view> missing;  // signals that are configured and not there
    std::string_view reason;                // the largest wish's; empty: there is none
    int wanted = 0;                         // the largest wish
    int to = 0;                             // what should be done now
    std::string_view limit;                 // why `to` is not what is wanted; empty: it is
    std::string_view held;                  // why even that is not done; empty: it is
    std::optional<double> busyness{};       // in flight, averaged, over what the ready workers handle at once
    Time window{};                          // what the fleet shrinks by, at this moment
};

class Policy {
  public:
    static constexpr Time kDrain = std::chrono::seconds(3);
    static constexpr Time kFirstWork = std::chrono::seconds(2);
    static constexpr Time kShrinkPause = std::chrono::seconds(10);
    static constexpr Time kCalm = std::chrono::seconds(30);
    static constexpr Time kLongestWindow = std::chrono::minutes(30);
    static constexpr double kIgnored = 0.1;   // of the fleet: a change that is not worth it
    static constexpr double kShrinkBy = 0.1;  // of the fleet, at once
    static constexpr double kLonger = 1.5;

    explicit Policy(const Settings& settings) : settings_(settings), window_(settings.down_window) {}
    const Settings& settings() const { return settings_; }
    void change(const Settings& settings);

    Decision decide(const Signals& signals, Time now);
    void applied(int from, int to, Time now);

    struct Judged {
        Time at;
        int workers;
    };
    // What limits the next change, for a policy that goes on with the same fleet. What was wanted in the
    // window is not in it: that one begins anew, so the fleet shrinks later, and grows no faster.
    struct Past {
        std::optional<Time> window{};  // nothing: it is the settings'
        std::vector<Judged> growths{};
        std::optional<Time> last_growth{}, last_shrink{}, last_regret{};
    };
    Past past() const;
    void go_on(const Past& past);

  private:
    void collect_wishes(Decision& decision) const;
    void wish(Decision& decision, std::string_view reason, double workers) const;
    void miss_or_wish(Decision& decision, std::string_view reason, std::optional<double> target,
                      std::optional<double> signal, double scale) const;
    void wish_for_load(Decision& decision) const;
    void wish_for_latency(Decision& decision) const;
    double measured_with(const Signals& signals) const;
    bool is_first_work(const Decision& decision) const;
    void remember(int workers, Time now);
    int largest_of_window() const;
    void grow(Decision& decision, int wanted, Time now) const;
    void shrink(Decision& decision, Time now) const;
    int growth_cap(const Fleet& fleet, Time now) const;
    std::optional<int> memory_cap(const Signals& signals) const;

    Settings settings_;
    Time window_;
    std::optional<Time> begun_;
    std::optional<Time> nobody_at_;  // when none was ready, the last time, and some booted
    std::deque<Judged> judged_;      // what was wanted, of the last window
    std::deque<Judged> growths_;     // how many there were before each
    std::optional<Time> last_growth_, last_shrink_, last_regret_;
};

}  // namespace autoscaler
