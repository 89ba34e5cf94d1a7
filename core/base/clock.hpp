// Time. Every decision and every timer runs on the monotonic clock (no timer moves with the wall clock); the
// wall clock is only shown. Time reaches core/model as an argument, through this seam, so tests turn it by
// hand.
#pragma once

#include <chrono>

namespace circus {

using Monotonic = std::chrono::steady_clock;
using TimePoint = Monotonic::time_point;
using Duration = Monotonic::duration;
using Milliseconds = std::chrono::milliseconds;

// Configuration gives seconds as a double (Circus's unit). Clamped to 30 years either way, so that a sum with
// a TimePoint cannot overflow whatever a client sends.
constexpr Duration from_seconds(double seconds) {
    constexpr double kLimit = 30.0 * 365 * 24 * 3600;
    const double clamped = seconds > kLimit ? kLimit : seconds > -kLimit ? seconds : -kLimit;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(clamped));
}
constexpr double to_seconds(Duration d) {
    return std::chrono::duration<double>(d).count();
}

class Clock {
  public:
    virtual ~Clock() = default;
    virtual TimePoint now() const = 0;
    virtual double wall() const = 0;  // seconds since the epoch
};

class SystemClock final : public Clock {
  public:
    TimePoint now() const override { return Monotonic::now(); }
    double wall() const override {
        return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    }
};

}  // namespace circus
