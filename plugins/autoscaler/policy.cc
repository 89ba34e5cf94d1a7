#include "policy.hpp"

#include <algorithm>
#include <cmath>

namespace autoscaler {

namespace {

constexpr double kMost = 1e6;  // workers: beyond that a figure is nonsense

int rounded_up(double workers) {
    constexpr double kNoise = 1e-9;
    return static_cast<int>(std::ceil(std::clamp(workers, 0.0, kMost) - kNoise));
}

double in_seconds(Time time) {
    return std::chrono::duration<double>(time).count();
}

// A queue stands, and is gone in kDrain at its present pace. Workers that are busy draining it look like
// load, and would ask for as many again.
bool is_draining(const LoadReading& load) {
    return load.standing >= 1 && load.queue + load.growth * in_seconds(Policy::kDrain) <= 0;
}

// Bounded changes of a fleet: a share of it, one at least.
int share_of(int fleet, double share) {
    return std::max(1, static_cast<int>(fleet * share));
}

}  // namespace

void Policy::change(const Settings& settings) {
    if (settings.down_window != settings_.down_window) window_ = settings.down_window;
    settings_ = settings;
}

void Policy::wish(Decision& decision, std::string_view reason, double workers) const {
    decision.wishes.push_back({reason, rounded_up(workers)});
}

void Policy::miss_or_wish(Decision& decision, std::string_view reason, std::optional<double> target,
                          std::optional<double> signal, double scale) const {
    if (!target) return;
    if (signal)
        wish(decision, reason, scale * *signal / *target);
    else
        decision.missing.push_back(reason);
}

void Policy::wish_for_load(Decision& decision) const {
    const Signals& signals = decision.signals;
    if (!signals.has_sockets) return;
    if (!signals.load) return decision.missing.push_back("load");
    const LoadReading& load = *signals.load;
    const double per_worker = settings_.concurrency * settings_.target;
    wish(decision, "busy", rounded_up(load.in_flight / per_worker) + settings_.spare);
    if (load.standing < 1 || is_first_work(decision) || is_draining(load)) return;
    // Until it is known how fast they are, a request takes a second.
    const double drained = std::max(1e-3, load.rate.value_or(1)) * in_seconds(kDrain);
    double workers = (load.in_flight_now + load.queue / drained) / per_worker;
    if (signals.fleet.booting == 0) workers = std::max(workers, signals.fleet.wanted + 1.0);
    wish(decision, "queue", workers);
}

// How many were at work when the latency was measured. Those that boot have no part in it, so it asks for
// none beside them; and what was started since then may have cured it: a latency asks for more once, not at
// each look at it until there is another one.
double Policy::measured_with(const Signals& signals) const {
    int workers = std::max(1, signals.fleet.ready);
    if (!signals.latency_at) return workers;
    for (const Judged& growth : growths_)
        if (growth.at + signals.fleet.boot_time > *signals.latency_at)
            workers = std::min(workers, std::max(1, growth.workers));
    return workers;
}

// A slow backend must not inflate the fleet: only while the workers are what is short.
void Policy::wish_for_latency(Decision& decision) const {
    if (!settings_.latency_target) return;
    const Signals& signals = decision.signals;
    if (!signals.latency) return decision.missing.push_back("latency");
    if (!signals.load || is_first_work(decision) || is_draining(*signals.load)) return;
    const bool are_busy = decision.busyness > settings_.target || signals.load->standing >= 1;
    if (!are_busy) return;
    wish(decision, "latency",
         measured_with(signals) * std::min(*signals.latency / *settings_.latency_target, 2.0));
}

bool Policy::is_first_work(const Decision& decision) const {
    return nobody_at_ && *nobody_at_ + kFirstWork > decision.at;
}

void Policy::collect_wishes(Decision& decision) const {
    wish_for_load(decision);
    miss_or_wish(decision, "cpu", settings_.cpu_target, decision.signals.cpu, decision.signals.fleet.ready);
    miss_or_wish(decision, "external", settings_.external_target, decision.signals.external, 1);
    wish_for_latency(decision);
    decision.wanted = decision.signals.fleet.wanted;
    bool is_first = true;
    for (const Wish& each : decision.wishes) {
        if (!is_first && each.workers <= decision.wanted) continue;
        decision.wanted = each.workers;
        decision.reason = each.reason;
        is_first = false;
    }
}

void Policy::remember(int workers, Time now) {
    if (!begun_) begun_ = now;
    judged_.push_back({now, workers});
    while (judged_.front().at + window_ < now) judged_.pop_front();
    if (window_ <= settings_.down_window || !last_regret_ || *last_regret_ + 4 * window_ > now) return;
    window_ = std::max(settings_.down_window, std::chrono::duration_cast<Time>(window_ / kLonger));
    last_regret_ = now;
}

int Policy::largest_of_window() const {
    int largest = 0;
    for (const Judged& each : judged_) largest = std::max(largest, each.workers);
    return largest;
}

int Policy::growth_cap(const Fleet& fleet, Time now) const {
    const Time period =
        settings_.growth_period.value_or(std::max<Time>(fleet.boot_time, std::chrono::seconds(1)));
    int base = fleet.wanted;
    for (const Judged& growth : growths_)
        if (growth.at + period > now) base = std::min(base, growth.workers);
    return std::max(rounded_up(base * settings_.growth_factor), base + settings_.growth_step);
}

// Those that boot will be as large as the others are.
std::optional<int> Policy::memory_cap(const Signals& signals) const {
    if (!settings_.memory_limit || !signals.rss || !signals.rss_worker || *signals.rss_worker <= 0)
        return std::nullopt;
    const double booting = std::max(signals.fleet.booting, signals.fleet.wanted - signals.fleet.ready);
    const double free = *settings_.memory_limit - *signals.rss - booting * *signals.rss_worker;
    return signals.fleet.wanted +
           static_cast<int>(std::clamp(std::floor(free / *signals.rss_worker), 0.0, kMost));
}

void Policy::grow(Decision& decision, int wanted, Time now) const {
    const Fleet& fleet = decision.signals.fleet;
    decision.to = wanted;
    const bool has_queue = decision.signals.load && decision.signals.load->standing >= 1;
    if (fleet.wanted < settings_.min) {
        // What was asked for without a condition needs no permission but the memory for it.
        decision.to = std::max(settings_.min, std::min(wanted, growth_cap(fleet, now)));
        if (decision.to < wanted) decision.limit = "growth";
    } else if (wanted - fleet.wanted <= kIgnored * fleet.wanted && !has_queue) {
        decision.to = fleet.wanted;
        decision.limit = "small change";
    } else if (const int cap = growth_cap(fleet, now); cap < wanted) {
        decision.to = std::max(cap, fleet.wanted);
        decision.limit = "growth";
    }
    if (!settings_.memory_limit || decision.to <= fleet.wanted) return;
    const auto cap = memory_cap(decision.signals);
    // What they take is not known: none, until it is.
    const int most = cap ? *cap : fleet.ready + fleet.booting > 0 ? fleet.wanted : decision.to;
    if (most >= decision.to) return;
    decision.to = std::max(most, fleet.wanted);
    decision.limit = "memory_limit";
}

void Policy::shrink(Decision& decision, Time now) const {
    const Fleet& fleet = decision.signals.fleet;
    const auto hold = [&](std::string_view why) {
        decision.to = fleet.wanted;
        decision.limit = why;
    };
    if (fleet.wanted > settings_.max) {
        decision.to = settings_.max;
        decision.limit = "max";
        return;
    }
    if (!decision.missing.empty()) return hold("missing signal");
    if (decision.wishes.empty()) return hold("no signal");
    const int largest = largest_of_window();
    if (largest >= fleet.wanted || *begun_ + window_ > now) return hold("down_window");
    if (fleet.wanted - largest < kIgnored * fleet.wanted) return hold("small change");
    if (last_growth_ && *last_growth_ + kCalm > now) return hold("recent growth");
    if (last_shrink_ && *last_shrink_ + kShrinkPause > now) return hold("recent shrink");
    decision.to = std::max(largest, fleet.wanted - share_of(fleet.wanted, kShrinkBy));
    if (decision.to > decision.wanted)
        decision.limit = decision.to > largest ? "a tenth at once" : "down_window";
}

Decision Policy::decide(const Signals& signals, Time now) {
    Decision decision;
    decision.at = now;
    decision.signals = signals;
    const Fleet& fleet = signals.fleet;
    if (fleet.ready == 0 && fleet.booting > 0) nobody_at_ = now;
    if (signals.load)
        decision.busyness = signals.load->in_flight / (std::max(1, fleet.ready) * settings_.concurrency);
    collect_wishes(decision);
    const int least = std::max(settings_.min, fleet.may_be_zero ? 0 : 1);
    const int wanted = std::clamp(decision.wanted, least, std::max(least, settings_.max));
    decision.limit = wanted < decision.wanted ? "max" : wanted > decision.wanted ? "min" : "";
    // What a signal that is missing would have asked for is not known: not less than there is.
    remember(decision.missing.empty() ? wanted : std::max(wanted, fleet.wanted), now);
    decision.window = window_;
    decision.to = fleet.wanted;
    if (fleet.is_reloading || fleet.is_flapping)
        decision.limit = fleet.is_reloading ? "reload" : "flapping";
    else if (wanted > fleet.wanted)
        grow(decision, wanted, now);
    else if (wanted < fleet.wanted)
        shrink(decision, now);
    else if (decision.wishes.empty() && !decision.missing.empty())
        decision.limit = "missing signal";
    return decision;
}

void Policy::applied(int from, int to, Time now) {
    while (!growths_.empty() && growths_.front().at + kLongestWindow < now) growths_.pop_front();
    if (to > from) {
        growths_.push_back({now, from});
        last_growth_ = now;
        if (last_shrink_ && *last_shrink_ + window_ > now) {
            window_ = std::max(settings_.down_window,
                               std::min(kLongestWindow, std::chrono::duration_cast<Time>(window_ * kLonger)));
            last_regret_ = now;
            last_shrink_.reset();
        }
    } else if (to < from) {
        last_shrink_ = now;
    }
}

Policy::Past Policy::past() const {
    Past past;
    if (window_ != settings_.down_window) past.window = window_;
    // The cap looks for the fewest since a moment: a growth from more than a later one has cannot be it.
    for (auto at = growths_.rbegin(); at != growths_.rend(); ++at)
        if (past.growths.empty() || at->workers < past.growths.back().workers) past.growths.push_back(*at);
    std::reverse(past.growths.begin(), past.growths.end());
    past.last_growth = last_growth_;
    past.last_shrink = last_shrink_;
    past.last_regret = last_regret_;
    return past;
}

void Policy::go_on(const Past& past) {
    if (past.window)
        window_ =
            std::clamp(*past.window, settings_.down_window, std::max(settings_.down_window, kLongestWindow));
    growths_.assign(past.growths.begin(), past.growths.end());
    last_growth_ = past.last_growth;
    last_shrink_ = past.last_shrink;
    last_regret_ = past.last_regret;
}

}  // namespace autoscaler
