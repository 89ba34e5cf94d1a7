#include "model/death.hpp"

#include <array>
#include <csignal>
#include <cstddef>

namespace circus::model {

namespace {

// What a process brings upon itself.
bool is_fault(int signo) {
    switch (signo) {
        case SIGSEGV:
        case SIGBUS:
        case SIGFPE:
        case SIGILL:
        case SIGSYS:
        case SIGTRAP:
        case SIGABRT:
            return true;
        default:
            return false;
    }
}

DeathReason reason_of(EndCause cause) {
    switch (cause) {
        case EndCause::Operation:
            return DeathReason::Asked;
        case EndCause::Age:
            return DeathReason::MaxAge;
        case EndCause::Memory:
            return DeathReason::Memory;
        case EndCause::Readiness:
            return DeathReason::NotReady;
    }
    return DeathReason::Asked;
}

// Who sent the signal it ended by.
Known sent_by_us(const Reaped& reaped) {
    if ((reaped.sent & signal_bit(-reaped.code)) != 0) return Known::Yes;
    return reaped.perhaps_sent ? Known::Unknown : Known::No;
}

}  // namespace

std::string_view to_string(DeathReason reason) {
    static constexpr std::array<std::string_view, kDeathReasons> kNames{
        "asked", "max_age", "memory", "not_ready", "signal", "exit", "crash", "killed", "oom", "not_started"};
    const auto at = static_cast<std::size_t>(reason);
    return at < kNames.size() ? kNames[at] : std::string_view("killed");
}

bool may_be_oom(const Reaped& reaped) {
    return reaped.code == -SIGKILL && sent_by_us(reaped) != Known::Yes;
}

DeathVerdict judge_death(const Reaped& reaped, Known oom) {
    if (reaped.code >= 0) return {reaped.expected ? reason_of(reaped.cause) : DeathReason::Exit};
    const Known ours = sent_by_us(reaped);
    if (ours == Known::Yes)
        return {reaped.expected ? reason_of(reaped.cause) : DeathReason::Signal, ours, Known::No};
    // Two who may have sent it, and no way to tell them apart.
    const Known by_kernel = !may_be_oom(reaped)                           ? Known::No
                            : ours == Known::Unknown && oom == Known::Yes ? Known::Unknown
                                                                          : oom;
    if (is_fault(-reaped.code)) return {DeathReason::Crash, ours, by_kernel};
    if (by_kernel == Known::Yes) return {DeathReason::Oom, ours, by_kernel};
    if (ours == Known::Unknown && reaped.expected) return {reason_of(reaped.cause), ours, by_kernel};
    return {DeathReason::Killed, ours, by_kernel};
}

}  // namespace circus::model
