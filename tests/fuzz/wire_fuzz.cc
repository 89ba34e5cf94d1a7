// Any bytes as a spawn plan: refused, or everything that it points to is inside of it.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "keeper/plan_decode.hpp"

namespace {

// Reads each byte that a child would read; the sanitizer says whether it may be read.
std::size_t read_text(const char* text) {
    return text ? std::strlen(text) : 0;
}

std::size_t read_list(char* const* list) {
    std::size_t read = 0;
    for (; list && *list; ++list) read += read_text(*list);
    return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace circus::keeper;
    // A block of its own of exactly that size.
    const auto bytes = std::make_unique<std::byte[]>(size);
    if (size > 0) std::memcpy(bytes.get(), data, size);
    Plan plan;
    if (decode_plan({bytes.get(), size}, size % 4, plan) != 0) return 0;
    volatile std::size_t read = read_list(plan.argv) + read_list(plan.envp);
    for (const char* candidate : plan.candidates) read = read + read_text(candidate);
    for (const PlanMove& move : plan.moves) read = read + static_cast<std::size_t>(move.target);
    for (const PlanRlimit& limit : plan.rlimits) read = read + limit.soft;
    for (const gid_t group : plan.groups) read = read + group;
    if (plan.listen_pid) std::memset(plan.listen_pid, '1', 10);
    read = read + read_text(plan.chroot) + read_text(plan.working_dir);
    return 0;
}
