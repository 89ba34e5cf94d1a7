// Hooks, as far as they are decided: the points of a watcher's life at which one may be asked, and what an
// answer leads to at each of them. One table; names, config checks, events and consequences are read off it.
// Pure.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace circus::model {

enum class HookPoint : unsigned char {
    BeforeStart,
    AfterStart,
    BeforeSpawn,
    AfterSpawn,
    BeforeStop,
    AfterStop,
    BeforeSignal,
    AfterSignal,
    BeforeReap,
    AfterReap,
    ExtendedStats,
};
constexpr std::size_t kHookPoints = 11;

enum class HookVerdict : unsigned char {
    Ok,
    Deny,   // the hook's "no": Circus's False
    Retry,  // before_start and before_spawn: ask again after the back-off
    Error,  // it could not say: an exception, a deadline, a library that is gone
};

// What follows. Abort: the watcher is stopped, or for before_signal the signal is not sent.
enum class HookOutcome : unsigned char { Go, Abort, Again };

struct HookRow {
    std::string_view name;
    std::array<HookOutcome, 4> outcomes;  // by HookVerdict
};

namespace detail {
inline constexpr auto kGo = HookOutcome::Go;
inline constexpr auto kAbort = HookOutcome::Abort;
inline constexpr auto kAgain = HookOutcome::Again;
// Columns: Ok, Deny, Retry, Error. Where there is nothing to ask again for, Retry is an Error.
inline constexpr std::array<HookRow, kHookPoints> kHookTable = {{
    {"before_start", {kGo, kAbort, kAgain, kAbort}},
    {"after_start", {kGo, kAbort, kAbort, kAbort}},
    {"before_spawn", {kGo, kAbort, kAgain, kAbort}},
    {"after_spawn", {kGo, kAbort, kAbort, kAbort}},
    {"before_stop", {kGo, kGo, kGo, kGo}},
    {"after_stop", {kGo, kGo, kGo, kGo}},
    {"before_signal", {kGo, kAbort, kGo, kGo}},
    {"after_signal", {kGo, kGo, kGo, kGo}},
    {"before_reap", {kGo, kGo, kGo, kGo}},
    {"after_reap", {kGo, kGo, kGo, kGo}},
    {"extended_stats", {kGo, kGo, kGo, kGo}},
}};
constexpr const HookRow& row(HookPoint point) {
    return kHookTable[static_cast<std::size_t>(point)];
}
}  // namespace detail

constexpr std::string_view to_string(HookPoint point) {
    return detail::row(point).name;
}

constexpr std::optional<HookPoint> find_hook_point(std::string_view name) {
    for (std::size_t i = 0; i < kHookPoints; ++i)
        if (detail::kHookTable[i].name == name) return static_cast<HookPoint>(i);
    return std::nullopt;
}

// ignore_failure makes a hook that could not say one that said yes; a "no" stays one.
constexpr HookOutcome outcome_of(HookPoint point, HookVerdict verdict, bool ignore_failure) {
    const HookOutcome outcome = detail::row(point).outcomes[static_cast<std::size_t>(verdict)];
    const bool failed =
        verdict == HookVerdict::Error || (verdict == HookVerdict::Retry && outcome != HookOutcome::Again);
    return failed && ignore_failure ? HookOutcome::Go : outcome;
}

// Of several hooks at one point the sternest counts: one "no" is enough.
constexpr HookOutcome sterner(HookOutcome a, HookOutcome b) {
    if (a == HookOutcome::Abort || b == HookOutcome::Abort) return HookOutcome::Abort;
    return a == HookOutcome::Again ? a : b;
}

}  // namespace circus::model
