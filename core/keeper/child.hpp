// Starting one child from a decoded plan: the clone, and what the child does up to its exec. The only code of
// the product that runs between the two; child.cc says what that code must never do. Single-threaded.
#pragma once

#include <span>
#include <sys/types.h>

#include "base/unique_fd.hpp"
#include "keeper/plan_decode.hpp"
#include "keeper/spawn_request.hpp"

namespace circus::keeper {

// A row of the plan's moves, resolved: `source` is a descriptor of this process.
struct FdPlacement {
    int source = -1;
    int target = -1;
};

struct SpawnOutcome {
    pid_t pid = -1;  // -1: failed, and then nothing is left of the child
    UniqueFd pidfd;  // valid with pid
    SpawnStage stage{};
    int error = 0;   // errno
    int detail = 0;  // Rlimit: the resource; Descriptors: the target
};

// A child starts with a copy of all our descriptors, thousands of them in the keeper of a large stack, and
// its exec closes each again: with 6,000 of them that was a fifth of an exec. With this some low numbers are
// set aside, from 64 on, through which it gets what it is to have, and it copies nothing above them. Where a
// number is taken already, or the kernel is older than 5.9, children start as they do without. Call it once,
// early.
void reserve_low_descriptors();

// Every signal of the caller must be blocked, and its dispositions must stay as they are from the first call
// on. Returns once the child has exec'd, died or failed. `placements` is scratch: the child may rewrite the
// sources. Two rows with one target: the later one wins.
SpawnOutcome spawn_child(const Plan& plan, std::span<FdPlacement> placements);

}  // namespace circus::keeper
