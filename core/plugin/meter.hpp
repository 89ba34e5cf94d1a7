// Meter: what one plugin costs. Every call into the plugin runs through run(), which times it, counts it, and
// logs one that took longer than the budget with the names of plugin and callback. The loop's thread, but for
// error().
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.hpp"

namespace circus::plugin {

inline constexpr Milliseconds kBudget{5};
// Said to the witness while a library is loaded.
inline constexpr std::string_view kLoading = "load";

struct Figures {
    std::uint64_t calls = 0, slow = 0, errors = 0;
    Duration time{};
};

// Is told who is being called, so that it can be said why the program hangs or has crashed.
class Witness {
  public:
    virtual ~Witness() = default;
    virtual void enter(std::string_view plugin, std::string_view callback) = 0;
    virtual void leave() = 0;
};

class Meter {
  public:
    using Warn = std::function<void(const std::string& line)>;
    Meter(std::string plugin, Warn warn) : plugin_(std::move(plugin)), warn_(std::move(warn)) {}
    // Of all meters of this process; null: nobody.
    static void set_witness(Witness* witness) { witness_ = witness; }

    template <class F>
    auto run(std::string_view callback, F&& function) {
        const Timed timed{*this, callback, Monotonic::now()};
        if (witness_) witness_->enter(plugin_, callback);
        return std::forward<F>(function)();
    }
    // What comes before the first call: it costs what it costs, and only the witness is told.
    template <class F>
    static auto load(std::string_view plugin, F&& function) {
        struct Loading {
            ~Loading() {
                if (witness_) witness_->leave();
            }
        };
        const Loading loading;
        if (witness_) witness_->enter(plugin, kLoading);
        return std::forward<F>(function)();
    }
    void error() { ++errors_; }  // any thread: a negative status, a misbehaviour
    Figures figures() const;

  private:
    struct Timed {
        Meter& meter;
        std::string_view callback;
        TimePoint begun;
        ~Timed() {
            if (witness_) witness_->leave();
            meter.took(callback, Monotonic::now() - begun);
        }
    };
    void took(std::string_view callback, Duration time);

    static inline Witness* witness_ = nullptr;
    const std::string plugin_;
    Warn warn_;
    std::uint64_t calls_ = 0, slow_ = 0;
    std::atomic<std::uint64_t> errors_{0};
    Duration time_{};
    TimePoint quiet_until_{};  // one line a second: a plugin that is slow each time must not fill the log
    std::uint64_t untold_ = 0;
};

}  // namespace circus::plugin
