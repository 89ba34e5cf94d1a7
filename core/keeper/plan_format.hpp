// The bytes of a plan, known to plan_encode.cc and plan_decode.cc only. Native byte order: both ends are the
// same binary.
//
// A PlanHeader, then arrays in this order and without gaps: argv, envp and candidates as slots of 8 bytes
// (argv and envp with one more slot, zero, at the end), moves, rlimits, groups (rounded up to 8 bytes), then
// the strings, each ended by a NUL. A slot holds the offset of its string from the start of the plan;
// decoding turns it into a pointer where it stands. Because the places of the arrays follow from their
// counts, no two of them can overlap, whatever the bytes say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace circus::keeper {

constexpr std::uint32_t kPlanMagic = 0x506c616e;
constexpr std::size_t kPlanAlign = 8;

struct PlanHeader {
    enum Flag : std::uint32_t {
        HasUid = 1,
        HasGid = 2,
        HasUmask = 4,
        HasNice = 8,
        HasOomScore = 16,
        HasNoNewPrivs = 32,
        HasKillTree = 64,
    };
    std::uint32_t magic = kPlanMagic;
    std::uint32_t size = 0;  // of the whole plan
    // Counts of the arrays, terminating slots not included.
    std::uint32_t argv = 0;
    std::uint32_t envp = 0;
    std::uint32_t candidates = 0;
    std::uint32_t moves = 0;
    std::uint32_t rlimits = 0;
    std::uint32_t groups = 0;
    std::uint32_t passed = 0;  // descriptors that travel with the plan
    std::uint32_t flags = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t umask = 0;
    std::int32_t nice = 0;
    std::int32_t oom_score_adj = 0;
    std::uint32_t chroot = 0;       // offset; 0: none
    std::uint32_t working_dir = 0;  // offset; 0: none
    std::int32_t stop_signal = 0;
    std::uint32_t graceful_timeout_ms = 0;
    std::uint32_t reserved = 0;
};

struct PlanMove {
    std::uint32_t from = 0;  // FdMove::From
    std::int32_t target = 0;
    std::uint64_t source = 0;
};

struct PlanRlimit {
    std::int32_t resource = 0;
    std::uint32_t reserved = 0;
    std::uint64_t soft = 0;  // soft and hard lie as prlimit64(2) wants them
    std::uint64_t hard = 0;
};

static_assert(sizeof(char*) == 8, "a slot is relocated in place into a pointer");
static_assert(sizeof(PlanHeader) % kPlanAlign == 0 && sizeof(PlanMove) == 16 && sizeof(PlanRlimit) == 24 &&
              sizeof(gid_t) == 4);

// Where each part begins. Computed in 64 bits, so that no count can wrap it around.
struct PlanLayout {
    explicit constexpr PlanLayout(const PlanHeader& h)
        : argv(sizeof(PlanHeader)),
          envp(argv + (std::uint64_t{h.argv} + 1) * 8),
          candidates(envp + (std::uint64_t{h.envp} + 1) * 8),
          moves(candidates + std::uint64_t{h.candidates} * 8),
          rlimits(moves + std::uint64_t{h.moves} * sizeof(PlanMove)),
          groups(rlimits + std::uint64_t{h.rlimits} * sizeof(PlanRlimit)),
          strings(groups + (std::uint64_t{h.groups} * sizeof(gid_t) + 7) / 8 * 8) {}
    std::uint64_t argv, envp, candidates, moves, rlimits, groups, strings;
};

}  // namespace circus::keeper
