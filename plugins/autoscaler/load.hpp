// Load: what the figures of a watcher's sockets amount to. Pure: it is fed with samples, time is in them.
//
// In flight is averaged over kAveraged, so that one request more or less decides nothing. A queue counts when
// it was seen to stand for kStanding: with requests at random there is one for a moment now and then,
// whatever the number of workers. How fast a busy worker is through with a request is learnt from the
// connections that came
// (`accepted`), where the kernel counts them.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

namespace autoscaler {

using Time = std::chrono::nanoseconds;  // of a monotonic clock

struct LoadSample {
    Time at{};
    double queue = 0;                  // connections that wait to be accepted, of all sockets
    double in_flight = 0;              // accepted and open
    std::optional<double> accepted{};  // all that ever came
    double limit = 0;                  // of the queue
    std::optional<double> drops{};     // all that ever found it full
};

struct LoadReading {
    double in_flight = 0;           // averaged
    double in_flight_now = 0;       // of the last sample
    double queue = 0;               // of the last sample
    double standing = 0;            // the smallest queue of the last while
    double growth = 0;              // of the queue, in a second, over the last while
    std::optional<double> rate{};   // requests that a busy worker is through with in a second
    double limit = 0;               // of the queue
    std::optional<double> drops{};  // how many connections found it full, over kAveraged
};

class Load {
  public:
    static constexpr Time kAveraged = std::chrono::seconds(5);
    static constexpr Time kStanding = std::chrono::milliseconds(750);
    static constexpr Time kStale = std::chrono::seconds(2);

    void add(const LoadSample& sample);
    // Nothing: there was no sample of late.
    std::optional<LoadReading> read(Time now) const;
    void forget() { *this = Load(); }
    // How fast a busy worker is, if enough was seen; and from an arbiter before, until something newer is.
    std::optional<double> learnt() const;
    void recall(double rate);

  private:
    void learn(const LoadSample& before, const LoadSample& now);

    std::deque<LoadSample> samples_;  // of the last kAveraged
    double completed_ = 0;            // requests; both fade
    double busy_seconds_ = 0;
};

}  // namespace autoscaler
