#include "load.hpp"

#include <algorithm>
#include <cmath>

namespace autoscaler {

namespace {

constexpr double kMemory = 30;        // seconds in which what was learnt of the rate fades to a third
constexpr double kEnoughToLearn = 1;  // busy seconds, before a rate is believed
constexpr double kRecalled = 5;       // busy seconds, that what was learnt before stands for
constexpr double kLeastRate = 0.001;

double seconds(Time time) {
    return std::chrono::duration<double>(time).count();
}

// Samples come a little sooner or later than they should.
bool has_stood(const LoadSample& since, const LoadSample& last) {
    constexpr Time kJitter = std::chrono::milliseconds(50);
    return since.at + Load::kStanding <= last.at + kJitter;
}

}  // namespace

void Load::add(const LoadSample& sample) {
    if (!samples_.empty()) learn(samples_.back(), sample);
    samples_.push_back(sample);
    while (samples_.front().at + kAveraged < sample.at) samples_.pop_front();
}

void Load::learn(const LoadSample& before, const LoadSample& now) {
    const double passed = seconds(now.at - before.at);
    if (passed <= 0 || !before.accepted || !now.accepted) return;
    const double fade = std::exp(-passed / kMemory);
    const double came = *now.accepted - *before.accepted;
    const double more = now.queue + now.in_flight - before.queue - before.in_flight;
    completed_ = completed_ * fade + std::max(0.0, came - more);
    busy_seconds_ = busy_seconds_ * fade + (before.in_flight + now.in_flight) / 2 * passed;
}

std::optional<LoadReading> Load::read(Time now) const {
    if (samples_.empty() || samples_.back().at + kStale < now) return std::nullopt;
    LoadReading reading;
    const LoadSample& last = samples_.back();
    reading.in_flight_now = last.in_flight;
    reading.queue = reading.standing = last.queue;
    reading.limit = last.limit;
    if (last.drops && samples_.front().drops)
        reading.drops = std::max(0.0, *last.drops - *samples_.front().drops);
    double sum = 0;
    for (const LoadSample& each : samples_) sum += each.in_flight;
    const LoadSample* since = &last;
    for (auto at = samples_.rbegin(); at != samples_.rend() && !has_stood(*since, last); ++at) {
        reading.standing = std::min(reading.standing, at->queue);
        since = &*at;
    }
    if (!has_stood(*since, last)) reading.standing = 0;
    if (since->at < last.at) reading.growth = (last.queue - since->queue) / seconds(last.at - since->at);
    reading.in_flight = sum / static_cast<double>(samples_.size());
    reading.rate = learnt();
    return reading;
}

std::optional<double> Load::learnt() const {
    if (busy_seconds_ < kEnoughToLearn) return std::nullopt;
    return std::max(kLeastRate, completed_ / busy_seconds_);
}

void Load::recall(double rate) {
    busy_seconds_ = kRecalled;
    completed_ = rate * kRecalled;
}

}  // namespace autoscaler
