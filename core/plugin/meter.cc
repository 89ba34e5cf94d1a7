#include "plugin/meter.hpp"

#include <cstdio>

#include "base/text.hpp"

namespace circus::plugin {

Figures Meter::figures() const {
    return {calls_, slow_, errors_.load(), time_};
}

void Meter::took(std::string_view callback, Duration time) {
    ++calls_;
    time_ += time;
    if (time <= kBudget) return;
    ++slow_;
    const TimePoint now = Monotonic::now();
    if (now < quiet_until_) {
        ++untold_;
        return;
    }
    quiet_until_ = now + std::chrono::seconds(1);
    char took[32];
    std::snprintf(took, sizeof took, "%.1f", std::chrono::duration<double, std::milli>(time).count());
    const std::uint64_t untold = std::exchange(untold_, 0);
    warn_(cat(callback, " took ", std::string_view(took), " ms, more than ", kBudget.count(), " ms",
              untold ? cat("; so did ", untold, " calls since the last such line") : std::string()));
}

}  // namespace circus::plugin
