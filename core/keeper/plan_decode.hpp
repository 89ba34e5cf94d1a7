// Plan: a decoded SpawnPlan. Nothing is copied: it points into the bytes it was decoded from, which must
// outlive it. Keeper side; allocates nothing.
#pragma once

#include <cstddef>
#include <span>

#include "keeper/plan_format.hpp"

namespace circus::keeper {

constexpr std::size_t kMaxMoves = 1024;        // rows of SpawnRequest::fds
constexpr int kMaxTarget = 65535;              // highest descriptor number a plan may ask for
constexpr std::size_t kMaxPlan = 16UL << 20U;  // bytes; above what the kernel takes as arguments (6 MiB)

struct Plan {
    char* const* argv = nullptr;  // ended by a null pointer, as is envp
    char* const* envp = nullptr;
    std::span<char* const> candidates;
    std::span<const PlanMove> moves;
    std::span<const PlanRlimit> rlimits;
    std::span<const gid_t> groups;
    char* listen_pid = nullptr;    // ten places behind "LISTEN_PID=" for the child's pid; null: not wanted
    const char* chroot = nullptr;  // null: none
    const char* working_dir = nullptr;  // null: the daemon's
    PlanHeader header;                  // scalars and flags

    bool has(PlanHeader::Flag flag) const { return (header.flags & flag) != 0; }
};

// Checks every count and offset, then relocates the slots of `bytes` (8-byte aligned) in place: a plan can be
// decoded once. `passed` is the number of descriptors that came with it. Returns 0 or an errno (EINVAL,
// E2BIG); the plan is usable only after 0.
int decode_plan(std::span<std::byte> bytes, std::size_t passed, Plan& plan);

}  // namespace circus::keeper
