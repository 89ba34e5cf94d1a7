// What the log keeps of who commanded what. Every command that changes something, or that a plugin has added
// and may, is a line once it has its answer: who, what, and with which result. No value of an option is in
// it: those may be secrets. And those who were refused, a few lines of them however often they try.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "control/access.hpp"

namespace circus::control {

// "incr web nb=2", "set web options: numprocesses, env": at most a few hundred characters.
std::string audit_text(std::string_view command, const Json& properties);
// The line of a command that is answered. `begun`: it is under way, and nobody waits for its end.
std::string audit_line(const Caller& caller, std::string_view what, const Result<Json>& result,
                       bool begun = false);

// Lines about who was refused. Each is told for itself up to a number in each period; of the rest only how
// many they were.
class RefusalLog {
  public:
    // The line to write; empty: none.
    std::string line(const Caller& caller, std::string_view what, std::string_view why, TimePoint now);

  private:
    static constexpr int kLines = 10;
    static constexpr std::chrono::seconds kPeriod{10};

    std::optional<TimePoint> began_;
    int told_ = 0;
    std::uint64_t silent_ = 0;
};

}  // namespace circus::control
