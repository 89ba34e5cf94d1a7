// The autoscaler's policy in virtual time: against a model of a queue, and signal by signal. Every run
// asserts bounds: how far the fleet overshoots, how soon it settles, how often it turns round.
//
// The bounds are what this policy gives, and little more. Worse ones fail: growth without a cap or by one at
// a time, no window, a shrink by all or by one at a time, workers that drain a queue taken for load, a signal
// that is missing taken for nothing to do.
#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "autoscaler/load.hpp"
#include "autoscaler/policy.hpp"
#include "queue_model.hpp"

namespace autoscaler {
namespace {

using queue_model::QueueModel;
using std::chrono::seconds;

Settings settings(int min, int max) {
    Settings out;
    out.min = min;
    out.max = max;
    return out;
}

// Policy and model, tied together as the plugin ties policy and circusd: a sample each 250 ms, a decision
// each second.
class Trial {
  public:
    Trial(const Settings& settings, const queue_model::Options& options)
        : policy(settings), model(options, settings.min), options_(options) {}

    // `rate` over the seconds since the beginning of this call.
    void go(double length, const std::function<double(double)>& rate) {
        const double begun = model.now();
        while (model.now() - begun < length) {
            const double now = rate(model.now() - begun);
            model.tick(now);
            if (++ticks_ % 25 == 0) look(now * options_.service);
        }
    }
    void go(double length, double rate) {
        go(length, [rate](double) { return rate; });
    }
    int largest() const {
        int most = 0;
        for (const int each : wanted) most = std::max(most, each);
        return most;
    }
    // Changes of direction of what was wanted, since the beginning.
    int turns() const {
        int turns = 0, direction = 0;
        for (std::size_t i = 1; i < wanted.size(); ++i) {
            const int step = wanted[i] - wanted[i - 1];
            if (step == 0) continue;
            if (direction != 0 && (step > 0) != (direction > 0)) ++turns;
            direction = step;
        }
        return turns;
    }
    // Seconds until the fleet was within `share` of where it ended, for good.
    int settled(double share) const {
        const double end = wanted.back();
        for (std::size_t i = wanted.size(); i > 0; --i)
            if (std::abs(wanted[i - 1] - end) > share * end) return static_cast<int>(i);
        return 0;
    }
    // The longest time in a row, in seconds, in which the fleet was smaller than the load kept busy.
    int longest_short() const {
        int longest = 0, now = 0;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            now = wanted[i] < busy[i] ? now + 1 : 0;
            longest = std::max(longest, now);
        }
        return longest;
    }
    void forget() {
        wanted.clear();
        busy.clear();
    }

    Policy policy;
    QueueModel model;
    Load load;
    std::vector<int> wanted;   // second by second
    std::vector<double> busy;  // and how many workers the load of that time keeps busy
    std::vector<Decision> decisions;
    bool is_blind = false;  // samples get lost
    bool is_flapping = false, is_reloading = false;
    std::optional<double> rss_worker;
    double latency_every = 0;  // seconds; 0: nobody looks at it

  private:
    // What one who came now would wait until he is answered.
    void look_at_latency(Signals& signals, Time now) {
        if (latency_every <= 0) return;
        if (!latency_at_ || *latency_at_ + seconds(static_cast<int>(latency_every)) <= now) {
            latency_at_ = now;
            const double waits = (model.queue() + 1) / std::max(1, model.ready());
            latencies_.push_back(1000 * options_.service * std::max(1.0, waits));
            if (latencies_.size() > 20) latencies_.pop_front();
        }
        signals.latency = *std::max_element(latencies_.begin(), latencies_.end());
        signals.latency_at = latency_at_;
    }
    void look(double load_now) {
        const Time now = std::chrono::duration_cast<Time>(std::chrono::duration<double>(model.now()));
        if (!is_blind) load.add({now, model.queue(), model.in_flight(), model.accepted()});
        if (ticks_ % 100 != 0) return;
        Signals signals;
        signals.fleet = {model.wanted(),
                         model.ready(),
                         model.booting(),
                         std::chrono::duration_cast<Time>(std::chrono::duration<double>(options_.boot)),
                         is_flapping,
                         is_reloading,
                         false};
        signals.has_sockets = true;
        signals.load = load.read(now);
        signals.rss_worker = rss_worker;
        if (rss_worker) signals.rss = *rss_worker * model.ready();
        look_at_latency(signals, now);
        decisions.push_back(policy.decide(signals, now));
        const int to = decisions.back().to;
        policy.applied(model.wanted(), to, now);
        if (to != model.wanted()) model.set_workers(to);
        wanted.push_back(to);
        busy.push_back(load_now);
    }
    const queue_model::Options options_;
    long ticks_ = 0;
    std::deque<double> latencies_;
    std::optional<Time> latency_at_;
};

queue_model::Options even(double boot = 3) {
    queue_model::Options options;
    options.random = false;
    options.boot = boot;
    return options;
}
queue_model::Options at_random(std::uint64_t seed) {
    queue_model::Options options;
    options.seed = seed;
    return options;
}

// ---- loads over time ----

TEST(AutoscalerPolicy, AStepSettlesWithinTenSecondsAndOnlyItsBacklogOvershoots) {
    Trial run(settings(2, 40), even());
    run.go(180, 15);  // 1.5 busy: 3 workers
    EXPECT_EQ(run.model.wanted(), 3);
    run.forget();
    run.go(120, 100);  // 10 busy: 15 workers at a busyness of 0.7
    EXPECT_LE(run.settled(0.01), 10);
    EXPECT_GE(run.wanted.back(), 14);
    EXPECT_LE(run.largest(), 33) << "15, and what the backlog of three boot times takes";
    EXPECT_EQ(run.turns(), 0);
    EXPECT_EQ(run.model.queue(), 0);
    run.forget();
    run.go(900, 100);
    EXPECT_LE(run.wanted.back(), 17);  // what the backlog took has been given back
    EXPECT_GE(run.wanted.back(), 14);
    EXPECT_EQ(run.turns(), 0);
    EXPECT_EQ(run.model.queue(), 0);
}

TEST(AutoscalerPolicy, RandomRequestsDoNotMakeTheFleetTurnRoundAndRound) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Trial run(settings(2, 40), at_random(seed));
        run.go(600, 100);
        run.forget();
        run.go(3600, 100);
        EXPECT_LE(run.turns(), 4) << seed;  // one in a quarter of an hour
        EXPECT_LE(run.largest(), 20) << seed;
        EXPECT_GE(run.wanted.back(), 13) << seed;
        EXPECT_LE(run.model.wait(0.95), 0.1) << seed;
    }
}

// A look each `latency_every` seconds, which sees the queue; p95 is over the last 20, as http_observer's.
TEST(AutoscalerPolicy, ALatencyThatIsMeasuredNowAndThenMultipliesNothing) {
    for (const double every : {1.0, 5.0, 20.0}) {
        Settings some = settings(2, 200);
        some.latency_target = 150;
        Trial run(some, even());
        run.latency_every = every;
        run.go(180, 15);
        run.forget();
        run.go(600, 100);
        EXPECT_LE(run.largest(), 40) << every << ": 33 without it";
        EXPECT_GE(run.wanted.back(), 14) << every;
        EXPECT_LE(run.settled(0.1), 200) << every << ": what the backlog took is given back";
        EXPECT_LE(run.turns(), 1) << every;
        EXPECT_EQ(run.model.queue(), 0) << every;
    }
}

// Ten are in hand whatever there is: their backend is slow. A worker boots longer than is known.
TEST(AutoscalerPolicy, ASlowBackendDoublesABusyFleetOnce) {
    Settings some = settings(10, 1000);
    some.latency_target = 100;
    Policy policy(some);
    std::vector<int> born(10, -100);
    int most = 0;
    for (int second = 0; second < 300; ++second) {
        Signals signals;
        signals.fleet.wanted = static_cast<int>(born.size());
        signals.fleet.ready = static_cast<int>(
            std::count_if(born.begin(), born.end(), [=](int at) { return at + 5 <= second; }));
        signals.fleet.booting = signals.fleet.wanted - signals.fleet.ready;
        signals.fleet.boot_time = seconds(1);
        signals.has_sockets = true;
        signals.load = LoadReading{10, 10, 0, 0, 0, {}};
        signals.latency = 900;
        signals.latency_at = seconds(second / 60 * 60);
        const int to = policy.decide(signals, seconds(second)).to;
        policy.applied(signals.fleet.wanted, to, seconds(second));
        born.resize(static_cast<std::size_t>(to), second);
        most = std::max(most, to);
    }
    EXPECT_EQ(most, 20);
}

TEST(AutoscalerPolicy, ALatencyAsksForMoreOnceUntilItIsMeasuredWithThem) {
    Settings some = settings(1, 1000);
    some.latency_target = 100;
    Policy policy(some);
    Signals signals;
    signals.fleet = {10, 10, 0, seconds(3), false, false, false};
    signals.has_sockets = true;
    signals.load = LoadReading{10, 10, 0, 0, 0, {}};
    signals.latency = 900;
    const auto at = [&](int second, int workers, int measured) {
        signals.fleet.wanted = signals.fleet.ready = workers;
        signals.load->in_flight = workers;
        signals.latency_at = seconds(measured);
        return policy.decide(signals, seconds(second)).wishes.back().workers;
    };
    EXPECT_EQ(at(100, 10, 90), 20);
    policy.applied(10, 20, seconds(100));
    EXPECT_EQ(at(110, 20, 90), 20) << "it is of the ten";
    EXPECT_EQ(at(110, 20, 102), 20) << "they booted then";
    EXPECT_EQ(at(110, 20, 104), 40);
}

TEST(AutoscalerPolicy, WhatWaitsForTheFirstToBootDoesNotMultiplyThem) {
    for (const bool has_latency : {false, true}) {
        Settings some = settings(4, 40);
        if (has_latency) some.latency_target = 100;
        Trial run(some, even());
        run.latency_every = has_latency ? 1 : 0;
        run.model = QueueModel(even(), 0);
        run.model.set_workers(4);
        run.go(60, 10);
        EXPECT_EQ(run.largest(), 4) << "30 waited, and were through in a second";
    }
}

TEST(AutoscalerPolicy, ARampIsFollowedWithoutAQueue) {
    Trial run(settings(4, 40), even());
    run.go(60, 20);
    run.forget();
    run.go(300, [](double t) { return 20 + 140 * t / 300; });
    EXPECT_EQ(run.longest_short(), 0);
    EXPECT_LE(run.model.wait(0.99), 0.1);
    run.go(300, 160);
    EXPECT_GE(run.wanted.back(), 21);
    EXPECT_LE(run.largest(), 24) << "23 at a busyness of 0.7";
    EXPECT_LE(run.settled(0.01), 300 + 2);
    EXPECT_EQ(run.turns(), 0);
}

TEST(AutoscalerPolicy, ASlowSineTurnsTheFleetTwiceAPeriodAtTheMost) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        Trial run(settings(2, 40), at_random(seed));
        constexpr double kPeriod = 600, kPi = 3.14159265358979;
        run.go(3 * kPeriod, [=](double t) { return 90 - 70 * std::cos(2 * kPi * t / kPeriod); });
        EXPECT_LE(run.turns(), 5) << seed;
        EXPECT_LE(run.largest(), 27) << seed << ": 23 at a busyness of 0.7";
        EXPECT_LE(run.longest_short(), 1) << seed;
        EXPECT_LE(run.model.wait(0.95), 0.1) << seed;
        EXPECT_LE(run.model.average_workers(), 20) << seed;
    }
}

TEST(AutoscalerPolicy, RecurringSpikesFindTheFleetReady) {
    Trial run(settings(2, 100), at_random(1));
    const auto spikes = [](double t) { return std::fmod(t, 60) >= 54 ? 200.0 : 30.0; };
    run.go(180, spikes);
    EXPECT_LE(run.largest(), 46) << "29 at a busyness of 0.7, and what the backlog of two boot times takes";
    const std::size_t before = run.model.served();
    const double wait = run.model.wait(0.95);
    run.forget();
    run.go(600, spikes);
    EXPECT_GT(run.model.served(), before);
    EXPECT_LE(run.model.wait(0.95), wait);  // the first ones were the worst
    EXPECT_EQ(run.longest_short(), 0);
    EXPECT_EQ(run.turns(), 0);  // it does not shrink between them and grow again
    EXPECT_LE(run.largest(), 46);
    EXPECT_LE(run.settled(0.1), 60);
}

TEST(AutoscalerPolicy, ASlowBootIsWaitedForAndNotAnsweredByMoreAndMore) {
    Trial run(settings(2, 100), even(30));
    run.go(180, 10);
    run.forget();
    run.go(29, 100);  // nothing of what was started is ready yet
    EXPECT_LE(run.largest(), 6) << "no faster than +4 or twofold in a boot time";
    run.go(30, 100);
    EXPECT_LE(run.largest(), 12);
    run.go(120, 100);
    EXPECT_LE(run.largest(), 50) << "15, and what the backlog of three boot times takes";
    EXPECT_EQ(run.turns(), 0);
    EXPECT_LE(run.settled(0.1) + 59, 150) << "five boot times";
}

TEST(AutoscalerPolicy, AFlappingFleetIsLeftAlone) {
    Trial run(settings(2, 200), even());
    run.go(30, 15);
    const int before = run.model.wanted();
    run.is_flapping = true;
    run.go(10, 150);
    EXPECT_EQ(run.largest(), before);
    EXPECT_EQ(run.turns(), 0);
    EXPECT_EQ(run.decisions.back().limit, "flapping");
    // 22 at a busyness of 0.7, and what has come meanwhile takes more.
    run.is_flapping = false;
    run.forget();
    run.go(60, 150);
    EXPECT_GE(run.model.wanted(), 20);
    EXPECT_LE(run.largest(), 112) << "twofold in a boot time, as long as there is a backlog";
    EXPECT_LE(run.settled(0.1), 15);
    EXPECT_EQ(run.turns(), 0);
}

TEST(AutoscalerPolicy, AReloadIsWaitedFor) {
    Trial run(settings(2, 200), even());
    run.is_reloading = true;
    run.go(10, 150);
    EXPECT_EQ(run.largest(), 2);
    EXPECT_EQ(run.decisions.back().limit, "reload");
    run.is_reloading = false;
    run.forget();
    run.go(120, 150);
    EXPECT_LE(run.settled(0.1), 15);
    EXPECT_LE(run.largest(), 96) << "twofold in a boot time, as long as there is a backlog";
    EXPECT_EQ(run.turns(), 0);
}

TEST(AutoscalerPolicy, LostSignalsNeverShrinkTheFleet) {
    Trial run(settings(2, 40), even());
    run.go(60, 100);
    run.go(200, 100);
    const int before = run.model.wanted();
    run.is_blind = true;
    run.forget();
    run.go(1200, 0);
    EXPECT_EQ(run.largest(), before);
    EXPECT_EQ(run.wanted.back(), before);
    EXPECT_EQ(run.settled(0), 0);
    EXPECT_EQ(run.decisions.back().limit, "missing signal");
    EXPECT_EQ(run.turns(), 0);
    run.is_blind = false;
    run.forget();
    run.go(900, 0);
    EXPECT_EQ(run.wanted.back(), 2);
    EXPECT_EQ(run.turns(), 0);
    EXPECT_LE(run.largest(), before);
    EXPECT_GE(run.settled(0.01), 120) << "the window";
    EXPECT_LE(run.settled(0.01), 120 + 10 * (before - 2)) << "one worker at least in ten seconds";
}

TEST(AutoscalerPolicy, WhatASignalThatWasMissingMayHaveAskedForIsRemembered) {
    Settings two = settings(1, 40);
    two.external_target = 1;
    two.cpu_target = 50;
    Policy policy(two);
    Signals signals;
    signals.fleet.wanted = signals.fleet.ready = 20;
    signals.fleet.boot_time = seconds(1);
    signals.cpu = 1;
    for (int second = 0; second < 600; ++second) policy.decide(signals, seconds(second));
    signals.external = 1;
    EXPECT_EQ(policy.decide(signals, seconds(600)).to, 20) << "the window begins with what is known";
    EXPECT_EQ(policy.decide(signals, seconds(700)).to, 20);
    EXPECT_LT(policy.decide(signals, seconds(730)).to, 20);
}

TEST(AutoscalerPolicy, TheMemoryLimitBoundsGrowth) {
    Settings limited = settings(2, 40);
    limited.memory_limit = 1000;
    Trial run(limited, even());
    run.rss_worker = 100;
    run.go(120, 150);
    EXPECT_EQ(run.largest(), 10);
    EXPECT_EQ(run.decisions.back().limit, "memory_limit");
    EXPECT_EQ(run.turns(), 0);
    EXPECT_LE(run.settled(0.01), 5);
}

TEST(AutoscalerPolicy, BeyondMaxAndBelowMinItNeverGoes) {
    Trial run(settings(3, 8), even());
    run.go(300, 150);
    EXPECT_EQ(run.largest(), 8);
    EXPECT_EQ(run.decisions.back().limit, "max");
    run.go(900, 0);
    EXPECT_EQ(run.wanted.back(), 3);
    EXPECT_EQ(run.decisions.back().limit, "min");
}

TEST(AutoscalerPolicy, ItShrinksATenthAtATimeAndOnlyAfterTheWindow) {
    Trial run(settings(2, 40), even());
    run.go(300, 150);
    const int before = run.model.wanted();
    ASSERT_GE(before, 21);
    run.forget();
    run.go(118, 0);
    EXPECT_EQ(run.wanted.back(), before);
    run.go(182, 0);
    for (std::size_t i = 1; i < run.wanted.size(); ++i)
        EXPECT_LE(run.wanted[i - 1] - run.wanted[i], std::max(1, run.wanted[i - 1] / 10));
    EXPECT_LT(run.wanted.back(), before / 2);
    EXPECT_EQ(run.turns(), 0);
}

TEST(AutoscalerPolicy, AGrowthSoonAfterAShrinkLengthensTheWindowAndQuietShortensIt) {
    Policy policy(settings(1, 40));
    const auto at = [&](int second, int fleet, double in_flight) {
        Signals signals;
        signals.fleet.wanted = signals.fleet.ready = fleet;
        signals.has_sockets = true;
        signals.load = LoadReading{in_flight, in_flight, 0, 0, 0, {}};
        return policy.decide(signals, seconds(second));
    };
    EXPECT_EQ(at(0, 10, 0).window, seconds(120));
    policy.applied(10, 9, seconds(1));
    policy.applied(9, 12, seconds(20));
    EXPECT_EQ(at(21, 12, 0).window, seconds(180));
    policy.applied(12, 13, seconds(22));  // no shrink since: nothing to learn
    EXPECT_EQ(at(23, 13, 0).window, seconds(180));
    EXPECT_EQ(at(19 + 4 * 180, 13, 0).window, seconds(180));
    EXPECT_EQ(at(21 + 4 * 180, 13, 0).window, seconds(120));
    for (int i = 0; i < 100; ++i) {
        policy.applied(10, 9, seconds(1000 + 2 * i));
        policy.applied(9, 10, seconds(1001 + 2 * i));
    }
    EXPECT_EQ(at(1300, 10, 0).window, Policy::kLongestWindow);
}

// ---- one signal after the other ----

Signals of_fleet(int workers) {
    Signals signals;
    signals.fleet.wanted = signals.fleet.ready = workers;
    signals.fleet.boot_time = seconds(1);
    return signals;
}

struct Case {
    const char* what;
    Settings settings;
    Signals signals;
    int to;
    std::string_view reason, limit;
};

TEST(AutoscalerPolicy, EachSignalHasItsWishAndTheLargestWins) {
    Settings cpu = settings(1, 100), external = cpu, latency = cpu, both = cpu;
    cpu.cpu_target = 50;
    external.external_target = 10;
    latency.latency_target = 100;
    both.cpu_target = 50;
    both.external_target = 10;

    Signals hot = of_fleet(10);
    hot.cpu = 75;
    Signals queued = of_fleet(10);
    queued.external = 123;
    Signals two = hot;
    two.external = 180;
    Signals slow = of_fleet(10);
    slow.latency = 300;
    slow.has_sockets = true;
    slow.load = LoadReading{3, 3, 0, 0, 0, {}};
    Signals slow_and_busy = slow;
    slow_and_busy.load = LoadReading{9, 9, 0, 0, 0, {}};
    Signals queue = of_fleet(10);
    queue.has_sockets = true;
    queue.load = LoadReading{10, 10, 60, 60, 0, 10.0};
    Signals unknown_rate = queue;
    unknown_rate.load->rate.reset();
    Signals flicker = queue;
    flicker.load->standing = 0;
    flicker.load->in_flight = 7;
    Signals nothing = of_fleet(10);

    const Case cases[] = {
        {"cpu", cpu, hot, 15, "cpu", ""},
        {"external", external, queued, 13, "external", ""},
        {"the larger of two", both, two, 18, "external", ""},
        {"latency of idle workers says nothing", latency, slow, 10, "busy", "down_window"},
        {"latency of busy workers at most doubles", latency, slow_and_busy, 20, "latency", ""},
        {"queue: 10 busy, and 60 / (10 * 3) more", settings(1, 100), queue, 18, "queue", ""},
        {"queue of unknown speed: 60 / 3 more, twofold at most", settings(1, 100), unknown_rate, 20, "queue",
         "growth"},
        {"a queue for a moment is none", settings(1, 100), flicker, 10, "busy", ""},
        {"no signal", settings(1, 100), nothing, 10, "", ""},
        {"no signal, below min", settings(12, 100), nothing, 12, "", "min"},
        {"no signal, above max", settings(1, 8), nothing, 8, "", "max"},
        {"a missing one does not shrink", cpu, nothing, 10, "", "missing signal"},
    };
    for (const Case& each : cases) {
        Policy policy(each.settings);
        const Decision decision = policy.decide(each.signals, seconds(1000));
        EXPECT_EQ(decision.to, each.to) << each.what;
        EXPECT_EQ(decision.reason, each.reason) << each.what;
        EXPECT_EQ(decision.limit, each.limit) << each.what;
    }
}

TEST(AutoscalerPolicy, AQueueThatStandsStartsOneMoreAtLeastWhileNothingBoots) {
    Signals signals = of_fleet(10);
    signals.has_sockets = true;
    signals.load = LoadReading{2, 2, 1, 1, 0, 1000.0};
    EXPECT_EQ(Policy(settings(1, 100)).decide(signals, seconds(1)).to, 11);
    signals.fleet = {11, 10, 1, seconds(1), false, false, false};
    EXPECT_EQ(Policy(settings(1, 100)).decide(signals, seconds(1)).to, 11);
}

TEST(AutoscalerPolicy, ZeroIsOnlyWhereSomethingStartsItAgain) {
    for (const bool may : {false, true}) {
        Policy policy(settings(0, 10));
        Signals signals = of_fleet(1);
        signals.has_sockets = true;
        signals.fleet.may_be_zero = may;
        signals.load = LoadReading{};
        policy.decide(signals, seconds(0));
        EXPECT_EQ(policy.decide(signals, seconds(121)).to, may ? 0 : 1);
    }
}

TEST(AutoscalerPolicy, WithoutItsFootprintALimitedFleetDoesNotGrow) {
    Settings limited = settings(1, 10);
    limited.memory_limit = 1000;
    limited.external_target = 1;
    Signals signals = of_fleet(2);
    signals.external = 8;
    const Decision decision = Policy(limited).decide(signals, seconds(1));
    EXPECT_EQ(decision.to, 2);
    EXPECT_EQ(decision.limit, "memory_limit");
}

TEST(AutoscalerPolicy, WhatWasNotCarriedOutLeavesNoTrace) {
    Settings dry = settings(1, 100);
    dry.external_target = 1;
    Policy policy(dry);
    Signals signals = of_fleet(2);
    signals.external = 50;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(policy.decide(signals, seconds(i)).to, 6);
}

TEST(AutoscalerPolicy, OneThatGoesOnIsLimitedAsTheOneBefore) {
    Settings some = settings(1, 100);
    some.external_target = 1;
    Policy first(some);
    Signals signals = of_fleet(2);
    signals.fleet.boot_time = seconds(10);
    signals.external = 50;
    for (const auto& [at, from, to] :
         {std::tuple(0, 1, 2), std::tuple(1, 2, 8), std::tuple(2, 8, 6), std::tuple(3, 6, 9)})
        first.applied(from, to, seconds(at));
    signals.fleet.wanted = 9;
    const Policy::Past past = first.past();
    EXPECT_EQ(past.growths.size(), 3U);
    Policy next(some), fresh(some);
    next.go_on(past);
    for (const int at : {4, 10, 12, 20}) {
        const Decision before = first.decide(signals, seconds(at)), after = next.decide(signals, seconds(at));
        EXPECT_EQ(after.to, before.to) << at;
        EXPECT_EQ(after.window, before.window) << at;
    }
    EXPECT_GT(fresh.decide(signals, seconds(4)).to, first.decide(signals, seconds(4)).to);
}

TEST(AutoscalerPolicy, OneThatGoesOnShrinksNoSoonerThanItsWindow) {
    Settings some = settings(1, 100);
    some.external_target = 1;
    Policy first(some);
    Signals signals = of_fleet(20);
    signals.external = 1;
    int second = 0;
    while (first.decide(signals, seconds(second)).to == 20) ++second;
    first.applied(20, 18, seconds(second));
    signals.fleet.wanted = 18;
    Policy next(some);
    next.go_on(first.past());
    for (int i = 1; i <= 120; ++i) EXPECT_EQ(next.decide(signals, seconds(second + i)).to, 18) << i;
}

// ---- what the samples amount to ----

TEST(AutoscalerLoad, ASilentSourceIsNoReading) {
    Load load;
    EXPECT_FALSE(load.read(seconds(1)));
    load.add({seconds(1), 3, 4, {}});
    EXPECT_EQ(load.read(seconds(3))->queue, 3);
    EXPECT_FALSE(load.read(seconds(4)));
}

TEST(AutoscalerLoad, InFlightIsAveragedAndAQueueMustStand) {
    Load load;
    for (int i = 0; i < 20; ++i)
        load.add({std::chrono::milliseconds(250 * i), i % 2 == 0 ? 0.0 : 5.0, i % 2 == 0 ? 2.0 : 4.0, {}});
    const auto reading = load.read(std::chrono::milliseconds(4750));
    EXPECT_DOUBLE_EQ(reading->in_flight, 3);
    EXPECT_EQ(reading->in_flight_now, 4);
    EXPECT_EQ(reading->queue, 5);
    EXPECT_EQ(reading->standing, 0);
}

TEST(AutoscalerLoad, AQueueStandsWhenItWasSeenForAWhile) {
    Load load;
    const auto standing = [&](int ms, double queue) {
        load.add({std::chrono::milliseconds(ms), queue, 0, {}});
        return load.read(std::chrono::milliseconds(ms))->standing;
    };
    EXPECT_EQ(standing(1000, 5), 0) << "of before nothing is known";
    EXPECT_EQ(standing(1252, 5), 0);
    EXPECT_EQ(standing(1498, 4), 0);
    EXPECT_EQ(standing(1747, 4), 4) << "looks come a little sooner or later";
    EXPECT_EQ(standing(2001, 3), 3);
    EXPECT_EQ(standing(2250, 0), 0);
    EXPECT_EQ(standing(5000, 7), 0) << "in the gap it was gone, as far as is known";
    EXPECT_EQ(standing(5800, 6), 6);
}

TEST(AutoscalerLoad, TheRateIsLearntFromWhatCame) {
    QueueModel model(even(), 4);
    Load load;
    for (int tick = 1; tick <= 3000; ++tick) {
        model.tick(30);
        if (tick % 25 == 0)
            load.add(
                {std::chrono::milliseconds(10 * tick), model.queue(), model.in_flight(), model.accepted()});
    }
    EXPECT_NEAR(load.read(seconds(30))->rate.value(), 10, 2);
}

TEST(AutoscalerLoad, ARateThatWasLearntBeforeHoldsUntilThereIsANewerOne) {
    Load load;
    EXPECT_FALSE(load.learnt());
    load.recall(10);
    double accepted = 0;
    for (int i = 0; i < 240; ++i) {
        load.add({std::chrono::milliseconds(250 * i), 0, 1, accepted});
        EXPECT_TRUE(i > 3 || load.learnt().value() > 7) << i;
        accepted += 0.5;
    }
    EXPECT_NEAR(load.learnt().value(), 2, 0.6);
}

}  // namespace
}  // namespace autoscaler
