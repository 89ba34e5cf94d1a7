// Programs for the kernel's virtual machine, written instruction by instruction: bpf(2) and its encoding, for
// the files of this folder that load one. No library is needed for programs of a few dozen instructions.
//
// Sources: bpf(2), linux/bpf.h, and the kernel's Documentation/bpf/standardization/instruction-set.rst.
#pragma once

#include <cstdint>
#include <linux/bpf.h>
#include <span>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace circus::sys::bpf {

// -1 and errno, or what the command gives.
inline int call(bpf_cmd command, bpf_attr& attributes) {
    return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

inline bpf_insn instruction(int code, unsigned to, unsigned from, int offset, std::int32_t value) {
    bpf_insn out{};
    out.code = static_cast<std::uint8_t>(code);
    out.dst_reg = to & 0xfU;
    out.src_reg = from & 0xfU;
    out.off = static_cast<std::int16_t>(offset);
    out.imm = value;
    return out;
}

// Without a licence that is the kernel's: no function that asks for one is called.
inline UniqueFd load(bpf_prog_type type, unsigned attach_type, std::span<const bpf_insn> text) {
    bpf_attr program{};
    program.prog_type = type;
    program.expected_attach_type = attach_type;
    program.insns = reinterpret_cast<std::uintptr_t>(text.data());
    program.insn_cnt = static_cast<std::uint32_t>(text.size());
    program.license = reinterpret_cast<std::uintptr_t>("Apache-2.0");
    return UniqueFd(call(BPF_PROG_LOAD, program));
}

enum Register : unsigned { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 };

// NOLINTBEGIN(misc-redundant-expression): parts of a code that are zero say what it does all the same.

// Writes a program, with jumps to places that are named before or after they are reached.
class Writer {
  public:
    using Label = std::size_t;

    Label label() {
        places_.push_back(0);
        return places_.size() - 1;
    }
    void here(Label label) { places_[label] = text_.size(); }

    void move(Register to, Register from) { put(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
    void move(Register to, std::int32_t value) { put(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
    void move_wide(Register to, std::uint64_t value) { wide(to, 0, value); }
    void move_map(Register to, int map) { wide(to, BPF_PSEUDO_MAP_FD, static_cast<std::uint32_t>(map)); }
    // `operation` is BPF_ADD and its like, in 64 bits.
    void compute(int operation, Register to, Register from) {
        put(BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
    }
    void compute(int operation, Register to, std::int32_t value) {
        put(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
    }
    // `size` is BPF_B, BPF_W or BPF_DW.
    void load(int size, Register to, Register from, int offset) {
        put(BPF_LDX | BPF_MEM | size, to, from, offset, 0);
    }
    void store(int size, Register at, int offset, Register from) {
        put(BPF_STX | BPF_MEM | size, at, from, offset, 0);
    }
    void store(int size, Register at, int offset, std::int32_t value) {
        put(BPF_ST | BPF_MEM | size, at, 0, offset, value);
    }
    // Adds `from` to the 8 bytes there, as one step; with `fetch` it is then what they were before.
    void add_there(Register at, int offset, Register from, bool fetch) {
        put(BPF_STX | BPF_ATOMIC | BPF_DW, at, from, offset, fetch ? BPF_ADD | BPF_FETCH : BPF_ADD);
    }
    // `condition` is BPF_JEQ and its like.
    void jump_if(int condition, Register left, Register right, Label to) {
        jumps_.emplace_back(text_.size(), to);
        put(BPF_JMP | condition | BPF_X, left, right, 0, 0);
    }
    void jump_if(int condition, Register left, std::int32_t right, Label to) {
        jumps_.emplace_back(text_.size(), to);
        put(BPF_JMP | condition | BPF_K, left, 0, 0, right);
    }
    void call(std::int32_t function) { put(BPF_JMP | BPF_CALL, 0, 0, 0, function); }
    void exit() { put(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

    std::vector<bpf_insn> text() && {
        for (const auto& [at, label] : jumps_)
            text_[at].off =
                static_cast<std::int16_t>(static_cast<long>(places_[label]) - static_cast<long>(at) - 1);
        return std::move(text_);
    }

  private:
    void put(int code, unsigned to, unsigned from, int offset, std::int32_t value) {
        text_.push_back(instruction(code, to, from, offset, value));
    }
    void wide(unsigned to, unsigned kind, std::uint64_t value) {
        put(BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, static_cast<std::int32_t>(value & 0xffffffffU));
        put(0, 0, 0, 0, static_cast<std::int32_t>(value >> 32U));
    }

    std::vector<bpf_insn> text_;
    std::vector<std::size_t> places_;
    std::vector<std::pair<std::size_t, Label>> jumps_;
};

// NOLINTEND(misc-redundant-expression)

}  // namespace circus::sys::bpf
