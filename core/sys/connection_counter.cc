#include "sys/connection_counter.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <sys/socket.h>

#include "base/result.hpp"
#include "sys/bpf.hpp"

namespace circus::sys {

namespace {

constexpr std::int32_t kFlagsByte = 13;  // of the TCP header
constexpr std::int32_t kSynAndAck = 0x12;
constexpr std::int32_t kSyn = 0x02;

// NOLINTBEGIN(misc-redundant-expression): parts of a code that are zero say what it does all the same.
constexpr int kLoadByteAbsolute = BPF_LD | BPF_ABS | BPF_B;
constexpr int kLoadWide = BPF_LD | BPF_DW | BPF_IMM;
constexpr int kStoreWord = BPF_ST | BPF_MEM | BPF_W;

// if (flags & (SYN|ACK)) == SYN: ++map[0]; pass everything.
std::array<bpf_insn, 15> program_over(int map) {
    using bpf::instruction;
    return {
        instruction(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),  // the packet, where BPF_ABS looks for it
        instruction(kLoadByteAbsolute, 0, 0, 0, kFlagsByte),
        instruction(BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0, kSynAndAck),
        instruction(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 9, kSyn),
        instruction(kStoreWord, 10, 0, -4, 0),  // the key, 0
        instruction(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
        instruction(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
        instruction(kLoadWide, 1, BPF_PSEUDO_MAP_FD, 0, map),
        instruction(0, 0, 0, 0, 0),  // the upper half of the load above
        instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0),
        instruction(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 1),
        instruction(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
        instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, -1),
        instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
}

// NOLINTEND(misc-redundant-expression)

}  // namespace

bool ConnectionCounter::load() {
    if (program_ || refused_) return !refused_;
    const auto refused = [this](const char* what) {
        why_absent_ = sys_error(what, errno).text;
        refused_ = true;
        map_.reset();
        return false;
    };
    bpf_attr map{};
    map.map_type = BPF_MAP_TYPE_ARRAY;
    map.key_size = sizeof(std::uint32_t);
    map.value_size = sizeof(std::uint64_t);
    map.max_entries = 1;
    map_ = UniqueFd(bpf::call(BPF_MAP_CREATE, map));
    if (!map_) return refused("counting connections by eBPF");
    program_ = bpf::load(BPF_PROG_TYPE_SOCKET_FILTER, 0, program_over(map_.get()));
    if (!program_) return refused("counting connections by eBPF");
    return true;
}

void ConnectionCounter::attach(int listener) {
    if (!load()) return;
    const int program = program_.get();
    if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof program) == 0) {
        why_absent_.clear();
        return;
    }
    why_absent_ = sys_error("attaching the eBPF filter that counts connections", errno).text;
    refused_ = true;
    program_.reset();
    map_.reset();
}

std::optional<std::uint64_t> ConnectionCounter::count() const {
    if (!map_) return std::nullopt;
    const std::uint32_t key = 0;
    std::uint64_t value = 0;
    bpf_attr look{};
    look.map_fd = static_cast<std::uint32_t>(map_.get());
    look.key = reinterpret_cast<std::uintptr_t>(&key);
    look.value = reinterpret_cast<std::uintptr_t>(&value);
    if (bpf::call(BPF_MAP_LOOKUP_ELEM, look) != 0) return std::nullopt;
    return value;
}

}  // namespace circus::sys
