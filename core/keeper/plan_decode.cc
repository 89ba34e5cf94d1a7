#include "keeper/plan_decode.hpp"

#include <cerrno>
#include <cstring>

#include "keeper/spawn_request.hpp"
#include "keeper/wire.hpp"

namespace circus::keeper {

namespace {

// The strings of a plan: every offset into [begin, size) is the start of a text that ends inside, because the
// last byte of the plan was checked to be NUL.
struct Strings {
    std::byte* base;
    std::uint64_t begin;
    std::uint64_t size;

    bool contains(std::uint64_t offset) const { return offset >= begin && offset < size; }
    char* at(std::uint64_t offset) const { return reinterpret_cast<char*>(base + offset); }
};

bool relocate(const Strings& strings, std::uint64_t from, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        std::byte* const slot = strings.base + from + i * 8;
        std::uint64_t offset = 0;
        std::memcpy(&offset, slot, sizeof offset);
        if (!strings.contains(offset)) return false;
        char* const text = strings.at(offset);
        std::memcpy(slot, &text, sizeof text);
    }
    return true;
}

char* find_listen_pid(char* const* envp) {
    for (; *envp; ++envp)
        if (std::strcmp(*envp, kListenPid) == 0) return std::strchr(*envp, '=') + 1;
    return nullptr;
}

bool is_null_slot(const std::byte* slot) {
    std::uint64_t value = 0;
    std::memcpy(&value, slot, sizeof value);
    return value == 0;
}

bool are_sound(std::span<const PlanMove> moves, std::size_t passed) {
    for (const PlanMove& move : moves) {
        if (move.target < 0 || move.target > kMaxTarget) return false;
        if (move.from > static_cast<std::uint32_t>(FdMove::From::Null)) return false;
        const auto from = static_cast<FdMove::From>(move.from);
        if (from == FdMove::From::Passed && move.source >= passed) return false;
        if (from == FdMove::From::Own && move.source > 2) return false;
    }
    return true;
}

}  // namespace

int decode_plan(std::span<std::byte> bytes, std::size_t passed, Plan& plan) {
    if (bytes.size() > kMaxPlan) return E2BIG;
    if (bytes.size() < sizeof(PlanHeader) || reinterpret_cast<std::uintptr_t>(bytes.data()) % kPlanAlign != 0)
        return EINVAL;
    PlanHeader& h = plan.header;
    std::memcpy(&h, bytes.data(), sizeof h);
    const PlanLayout layout(h);
    if (h.magic != kPlanMagic || h.size != bytes.size() || h.passed != passed || h.argv == 0) return EINVAL;
    if (h.moves > kMaxMoves || passed > kMaxFdsPerMessage) return E2BIG;
    if (layout.strings >= bytes.size() || bytes.back() != std::byte{0}) return EINVAL;
    if (h.stop_signal < 1 || h.stop_signal > 64) return EINVAL;
    // To setresuid(2) that id means "leave it as it is": the child would stay root.
    constexpr std::uint32_t kNoChange = ~0U;
    if ((plan.has(PlanHeader::HasUid) && h.uid == kNoChange) ||
        (plan.has(PlanHeader::HasGid) && h.gid == kNoChange))
        return EINVAL;

    std::byte* const base = bytes.data();
    const Strings strings{base, layout.strings, bytes.size()};
    if ((h.chroot != 0 && !strings.contains(h.chroot)) ||
        (h.working_dir != 0 && !strings.contains(h.working_dir)))
        return EINVAL;
    plan.moves = {reinterpret_cast<const PlanMove*>(base + layout.moves), h.moves};
    if (!are_sound(plan.moves, passed)) return EINVAL;
    if (!is_null_slot(base + layout.envp - 8) || !is_null_slot(base + layout.candidates - 8) ||
        !relocate(strings, layout.argv, h.argv) || !relocate(strings, layout.envp, h.envp) ||
        !relocate(strings, layout.candidates, h.candidates))
        return EINVAL;

    plan.argv = reinterpret_cast<char* const*>(base + layout.argv);
    plan.envp = reinterpret_cast<char* const*>(base + layout.envp);
    plan.listen_pid = find_listen_pid(plan.envp);
    plan.candidates = {reinterpret_cast<char* const*>(base + layout.candidates), h.candidates};
    plan.rlimits = {reinterpret_cast<const PlanRlimit*>(base + layout.rlimits), h.rlimits};
    plan.groups = {reinterpret_cast<const gid_t*>(base + layout.groups), h.groups};
    plan.chroot = h.chroot != 0 ? strings.at(h.chroot) : nullptr;
    plan.working_dir = h.working_dir != 0 ? strings.at(h.working_dir) : nullptr;
    return 0;
}

}  // namespace circus::keeper
