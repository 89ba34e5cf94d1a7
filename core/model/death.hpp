// Why a process ended, as far as circusd knows. Pure: what was known of it when it was reaped goes in.
#pragma once

#include <cstdint>
#include <string_view>

namespace circus::model {

// On whose account circusd was ending it.
enum class EndCause : unsigned char { Operation, Age, Memory, Readiness };

enum class DeathReason : unsigned char {
    Asked,       // an operation: stop, restart, reload, decr, kill …
    MaxAge,      // max_age
    Memory,      // memory_soft or memory_max
    NotReady,    // it was not ready in time
    Signal,      // a signal that circusd was asked to send, and that was meant as no stop
    Exit,        // by itself
    Crash,       // by a fault of its own: SIGSEGV, SIGABRT …
    Killed,      // by a signal from somewhere else
    Oom,         // by the kernel, which had no memory
    NotStarted,  // it never ran: it could not be spawned
};
constexpr std::size_t kDeathReasons = 10;
std::string_view to_string(DeathReason reason);

enum class Known : unsigned char { No, Yes, Unknown };

struct Reaped {
    int code = 0;           // exit status, or minus the signal's number
    bool expected = false;  // circusd was ending it, on this account:
    EndCause cause = EndCause::Operation;
    std::uint64_t sent = 0;     // the signals that circusd sent to it: signal n is bit n - 1
    bool perhaps_sent = false;  // others may have been sent: by an arbiter before, by a stop_command
};

struct DeathVerdict {
    DeathReason reason = DeathReason::Exit;
    Known ours = Known::No;  // the signal it ended by was sent by circusd
    Known oom = Known::No;
};

constexpr std::uint64_t signal_bit(int signo) {
    return std::uint64_t{1} << static_cast<unsigned>(signo - 1);
}

// Whether the kernel may have ended it for want of memory: only then somebody has to ask.
bool may_be_oom(const Reaped& reaped);
DeathVerdict judge_death(const Reaped& reaped, Known oom);

}  // namespace circus::model
