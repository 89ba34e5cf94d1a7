// The wire between keeper and arbiter: one SOCK_SEQPACKET socketpair, one message a datagram, fixed structs
// in host byte order (both ends are the same binary), descriptors by SCM_RIGHTS. A datagram is a Header, the
// struct of its kind, then that kind's variable part. Nothing here allocates; both sides check sizes before
// they read.
//
// Order is kept in both directions. The keeper answers each Spawn with exactly one Spawned or SpawnFailed,
// and each Spawned is followed by exactly one Exited once the child was reaped. Signal is not answered: a
// signal to an id that is gone is dropped, which is the guarantee that no pid is ever signalled after it was
// reaped.
//
// An arbiter that follows another one is told, behind its Hello and before anything else, what there is: a
// Child for each one that has not been told to its end, a Held for each descriptor, then Greeted. It asks for
// nothing before that. What the one before had not taken in (Page::taken) is told again.
//
// A child that is stopped with Signal (scope Process or Group and its stop_signal, or SIGKILL) and has
// kill_tree set is swept before its Exited is sent: whatever it left behind is gone by then (or has been in
// the kernel's hands, after SIGKILL, for half a second).
#pragma once

#include <atomic>
#include <cstdint>
#include <sys/resource.h>

#include "keeper/spawn_request.hpp"

namespace circus::keeper {

constexpr std::uint32_t kWireMagic = 0x43697263;   // "Circ"
constexpr std::size_t kMaxDatagram = 64UL * 1024;  // a larger plan travels in a sealed memfd
constexpr std::size_t kMaxFdsPerMessage = 64;
constexpr int kArbiterFd = 3;  // where a started arbiter finds its end of the socketpair

enum class Kind : std::uint32_t {
    // to the keeper
    Spawn = 1,  // SpawnMessage, then the plan (or +memfd as the last descriptor), +passed descriptors
    Signal,     // SignalMessage
    Hold,       // HoldMessage + one descriptor
    Drop,       // DropMessage
    Save,       // SaveMessage + one sealed memfd: the arbiter's state, replacing the one before
    Exit,     // ExitMessage: no children are expected to be left; the keeper sweeps, then exits with the code
    Limits,   // LimitsMessage: what the configuration says the keeper must know
    Upgrade,  // UpgradeMessage: run another binary in the place of this one
    Ready,    // ReadyMessage: everything is bound, the first worker may be started; by each arbiter once
    Notify,   // NotifyMessage: for the service manager
    // to the arbiter
    Hello = 64,   // HelloMessage, first of all
    Spawned,      // SpawnedMessage + one pidfd
    SpawnFailed,  // SpawnFailedMessage
    Exited,       // ExitedMessage
    Caught,       // CaughtMessage: a signal sent to the daemon
    Child,        // ChildMessage, + one pidfd while it is not reaped
    Held,         // HeldMessage + one descriptor
    Greeted,      // GreetedMessage: that was all there is
    Upgraded,     // UpgradedMessage: how that went. After one that did, the arbiter is to leave
    Unsaved,      // UnsavedMessage: a Save came without its memfd, the state before stays: to be sent again
};

// The page that both map, a memfd that comes with Hello. Written by the arbiter, read by the keeper; zero
// when an arbiter starts. All but `end`, which goes the other way. What is new goes to the end: after an
// upgrade the page is that of the binary before.
// `plugin` and `callback` name what runs while `is_running` is not 0.
struct Page {
    std::atomic<std::uint64_t> beats;  // grows with each turn of its loop
    std::atomic<std::uint64_t> taken;  // datagrams whose facts are the arbiter's by now: not told again
    std::atomic<std::uint32_t> is_running;
    char plugin[64];
    char callback[64];
    char end[160];  // how the arbiter before has ended, until the next one is ready; empty: as it should
};
constexpr std::size_t kPageSize = 4096;
static_assert(sizeof(Page) <= kPageSize && std::atomic<std::uint64_t>::is_always_lock_free);

struct Header {
    std::uint32_t magic = kWireMagic;
    Kind kind{};
};

struct SpawnMessage {
    Header header{kWireMagic, Kind::Spawn};
    ChildId id = 0;
    std::uint32_t plan_size = 0;  // bytes that follow, or of the memfd
    std::uint32_t in_memfd = 0;   // 1: the plan is the last descriptor
    ChildNote note{};
};

enum class Scope : std::uint32_t {
    Process,  // the child alone
    Group,    // its process group (the child is its session's leader)
    Tree,  // the child and all descendants, found from the process tree, the session and the instance's mark
    Children,  // direct children of the child only
};

struct SignalMessage {
    Header header{kWireMagic, Kind::Signal};
    ChildId id = 0;
    std::int32_t signo = 0;
    Scope scope = Scope::Process;
    std::int32_t pid = 0;        // with Scope::Children: only this one of them; 0: all
    std::uint32_t stopping = 0;  // 1: this is (part of) a stop: sweep what it leaves behind before Exited
};

struct HoldMessage {
    Header header{kWireMagic, Kind::Hold};
    HoldId id = 0;
    char name[240] = {};  // for Held and for people; ended by a NUL
};

struct DropMessage {
    Header header{kWireMagic, Kind::Drop};
    HoldId id = 0;
};

struct SaveMessage {
    Header header{kWireMagic, Kind::Save};
};

struct ExitMessage {
    Header header{kWireMagic, Kind::Exit};
    std::int32_t code = 0;
};

struct LimitsMessage {
    Header header{kWireMagic, Kind::Limits};
    // The whole stack's deadline, also when the keeper must stop it by itself.
    std::uint64_t stop_timeout_ms = 0;
    // An arbiter that was ready and has not given a beat for so long hangs; 0: none does.
    std::uint64_t arbiter_timeout_ms = 0;
};

struct UpgradeMessage {
    Header header{kWireMagic, Kind::Upgrade};
    char binary[512] = {};  // a path; ended by a NUL
};

struct UpgradedMessage {
    Header header{kWireMagic, Kind::Upgraded};
    std::int32_t error = 0;  // errno of what failed, and everything is as it was; 0: done
    std::int32_t reserved = 0;
};

struct ReadyMessage {
    Header header{kWireMagic, Kind::Ready};
};

struct NotifyMessage {
    Header header{kWireMagic, Kind::Notify};
    char text[240] = {};  // lines of VARIABLE=value as of sd_notify(3); ended by a NUL
};

// + the page's descriptor, + the saved state's if there is one.
struct HelloMessage {
    Header header{kWireMagic, Kind::Hello};
    std::int32_t keeper_pid = 0;
    std::uint32_t is_pid1 = 0;
    std::uint64_t generation =
        0;                   // how many arbiters there were before; not 0: Child, Held and Greeted follow
    ChildId last_child = 0;  // the highest id that was ever used
    // What a plugin was doing when the arbiter before died or hung; empty: nothing.
    char plugin[64] = {};
    char callback[64] = {};
    std::uint64_t nofile_soft = 0;  // RLIMIT_NOFILE as the daemon was started with, before it was raised
    std::uint64_t nofile_hard = 0;
    char instance[48] = {};  // the mark: value of CIRCUS_INSTANCE up to the dot
    // Which binary did not start, why, and which one runs again; empty: there was nothing of the kind.
    char setback[640] = {};
};

struct SpawnedMessage {
    Header header{kWireMagic, Kind::Spawned};
    ChildId id = 0;
    std::int32_t pid = 0;
    std::int32_t reserved = 0;
    std::uint64_t start_ticks = 0;  // when it began, as proc_pid_stat(5) has it; 0: not known
};

struct SpawnFailedMessage {
    Header header{kWireMagic, Kind::SpawnFailed};
    ChildId id = 0;
    SpawnStage stage{};
    std::int32_t error = 0;   // errno
    std::int32_t detail = 0;  // Rlimit: the resource; Descriptors: the target
    std::int32_t reserved = 0;
};

struct ExitedMessage {
    Header header{kWireMagic, Kind::Exited};
    ChildId id = 0;
    std::int32_t status = 0;  // as of wait(2): WIFEXITED, WTERMSIG …
    std::int32_t reserved = 0;
    rusage usage{};  // ru_maxrss in KiB
};

struct ChildMessage {
    Header header{kWireMagic, Kind::Child};
    ChildId id = 0;
    ChildNote note{};
    std::int32_t pid = 0;
    std::uint32_t reserved = 0;
    std::int64_t started = 0;   // on the monotonic clock, ns
    std::int64_t stopping = 0;  // when its stop began, or 0
    double started_wall = 0;    // seconds since the epoch
};

struct HeldMessage {
    Header header{kWireMagic, Kind::Held};
    HoldId id = 0;
    char name[240] = {};
};

struct GreetedMessage {
    Header header{kWireMagic, Kind::Greeted};
};

struct UnsavedMessage {
    Header header{kWireMagic, Kind::Unsaved};
};

struct CaughtMessage {
    Header header{kWireMagic, Kind::Caught};
    std::int32_t signo = 0;
    std::int32_t sender_pid = 0;
};

}  // namespace circus::keeper
