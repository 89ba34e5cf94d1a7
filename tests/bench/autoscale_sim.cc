// autoscale_sim: the autoscaler's policy and its rivals over the same loads, in virtual time. Prints for each
// pair the wait of the 95th and the 99th request of a hundred in seconds, and the workers in the mean:
//
//     autoscale_sim [SEED]
//
// Service is exponential, 100 ms in the mean, a worker boots for 3 s, 2 to 40 workers.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autoscaler/load.hpp"
#include "autoscaler/policy.hpp"
#include "queue_model.hpp"

namespace {

using queue_model::QueueModel;

constexpr int kLeast = 2, kMost = 40;

// Asked every 250 ms of virtual time; returns how many workers it wants then.
class Scaler {
  public:
    virtual ~Scaler() = default;
    virtual int look(QueueModel& model) = 0;
};

autoscaler::Time time_of(double seconds) {
    return std::chrono::duration_cast<autoscaler::Time>(std::chrono::duration<double>(seconds));
}

class Ours final : public Scaler {
  public:
    explicit Ours(const autoscaler::Settings& settings) : policy_(settings) {}

    int look(QueueModel& model) override {
        const autoscaler::Time now = time_of(model.now());
        load_.add({now, model.queue(), model.in_flight(), model.accepted()});
        if (++looks_ % 4 != 0) return model.wanted();
        autoscaler::Signals signals;
        signals.fleet.wanted = model.wanted();
        signals.fleet.ready = model.ready();
        signals.fleet.booting = model.booting();
        signals.fleet.boot_time = std::chrono::seconds(3);
        signals.has_sockets = true;
        signals.load = load_.read(now);
        const int to = policy_.decide(signals, now).to;
        policy_.applied(model.wanted(), to, now);
        return to;
    }

  private:
    autoscaler::Load load_;
    autoscaler::Policy policy_;
    int looks_ = 0;
};

// uWSGI's cheaper-algo "busyness" with its defaults, but for a cycle of 3 s: above 50 % a step up, below 25 %
// for `multiplier` cycles one down; a backlog above 33 starts one at the next look at it, a second later.
class CheaperBusyness final : public Scaler {
  public:
    explicit CheaperBusyness(int step) : step_(step) {}

    int look(QueueModel& model) override {
        ++looks_;
        int wanted = model.wanted();
        if (looks_ % 4 == 0 && model.queue() > kBacklogAlert) wanted += 1;
        if (looks_ % 12 == 0) wanted += cycle(model.take_use().busyness);
        return std::clamp(wanted, kLeast, kMost);
    }

  private:
    static constexpr double kBusy = 0.5, kIdle = 0.25;
    static constexpr double kBacklogAlert = 33;
    static constexpr int kMultiplier = 10;

    int cycle(double busyness) {
        if (busyness > kBusy) {
            idle_cycles_ = 0;
            return step_;
        }
        idle_cycles_ = busyness < kIdle ? idle_cycles_ + 1 : 0;
        if (idle_cycles_ < kMultiplier) return 0;
        idle_cycles_ = 0;
        return -1;
    }
    const int step_;
    int looks_ = 0;
    int idle_cycles_ = 0;
};

// A Horizontal Pod Autoscaler on CPU: looks every 15 s, wants N * cpu / target, ignores a tenth, at most
// doubles (or four more), and shrinks to the largest wish of 5 minutes.
class CpuTarget final : public Scaler {
  public:
    int look(QueueModel& model) override {
        if (++looks_ % 60 != 0) return model.wanted();
        const double ratio = model.take_use().cpu / kTarget;
        const int now = model.wanted();
        const int wish =
            std::abs(ratio - 1) <= 0.1 ? now : static_cast<int>(std::ceil(model.ready() * ratio));
        wishes_.push_back(wish);
        if (wishes_.size() > 20) wishes_.erase(wishes_.begin());
        const int wanted =
            std::min(*std::max_element(wishes_.begin(), wishes_.end()), std::max(2 * now, now + 4));
        return std::clamp(wish > now ? std::min(wish, std::max(2 * now, now + 4)) : std::min(wanted, now),
                          kLeast, kMost);
    }

  private:
    static constexpr double kTarget = 60;  // per cent of one core
    int looks_ = 0;
    std::vector<int> wishes_;
};

struct Named {
    const char* name;
    std::function<std::unique_ptr<Scaler>()> make;
};

std::vector<Named> rivals() {
    autoscaler::Settings ours;
    ours.min = kLeast;
    ours.max = kMost;
    autoscaler::Settings slow = ours;
    slow.growth_period = std::chrono::seconds(15);
    autoscaler::Settings eager = ours;
    eager.spare = 4;
    eager.growth_factor = 4;
    eager.growth_step = 8;
    return {{"this policy", [=] { return std::make_unique<Ours>(ours); }},
            {"the same, growth per 15 s", [=] { return std::make_unique<Ours>(slow); }},
            {"the same, 4 spare, *4 or +8", [=] { return std::make_unique<Ours>(eager); }},
            {"uWSGI cheaper busyness, step 1", [] { return std::make_unique<CheaperBusyness>(1); }},
            {"uWSGI cheaper busyness, step 4", [] { return std::make_unique<CheaperBusyness>(4); }},
            {"CPU target only", [] { return std::make_unique<CpuTarget>(); }}};
}

struct Load {
    const char* name;
    double seconds;
    std::function<double(double)> rate;
};

std::vector<Load> loads() {
    constexpr double kPi = 3.14159265358979;
    return {{"step 15 to 150 rps", 600, [](double t) { return t < 300 ? 15.0 : 150.0; }},
            {"slow sine 20..160", 1200, [=](double t) { return 90 - 70 * std::cos(2 * kPi * t / 600); }},
            {"6 s spikes 30 to 200", 600, [](double t) { return std::fmod(t, 60) >= 54 ? 200.0 : 30.0; }}};
}

std::string run(Scaler& scaler, const Load& load, std::uint64_t seed) {
    queue_model::Options options;
    options.seed = seed;
    QueueModel model(options, kLeast);
    for (long tick = 1; model.now() < load.seconds; ++tick) {
        model.tick(load.rate(model.now()));
        if (tick % 25 == 0)
            if (const int wanted = scaler.look(model); wanted != model.wanted()) model.set_workers(wanted);
    }
    char text[64];
    std::snprintf(text, sizeof text, "%.2f / %.2f · %.0f", model.wait(0.95), model.wait(0.99),
                  model.average_workers());
    return text;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    std::printf("| policy (p95 / p99 wait in s · workers) |");
    for (const Load& load : loads()) std::printf(" %s |", load.name);
    std::printf("\n|---|---|---|---|\n");
    for (const Named& rival : rivals()) {
        std::printf("| %s |", rival.name);
        for (const Load& load : loads()) std::printf(" %s |", run(*rival.make(), load, seed).c_str());
        std::printf("\n");
    }
}
