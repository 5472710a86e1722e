// StackFrame: what a far call, an interrupt or a task switch pushes, on the current stack or on one
// that is only about to become current. Collected first, then checked and written as one, so that
// nothing is half pushed.
#pragma once

#include <array>
#include <cstring>

#include "cpu/interp/segments.hpp"

namespace banyan::interp {

// A stack to switch to.
struct Stack {
    x86::SegmentRegister ss{};
    uint64_t sp = 0;
    uint64_t mask = ~uint64_t{0};  // bits of sp in use: ~0 for 64-bit stacks, which ignore ss
    View view = View::supervisor;

    static Stack current(const Cpu& cpu) {
        return {cpu.seg[x86::kSs], cpu.stack_pointer(), cpu.stack_mask, cpu.view};
    }
    // A stack of 16 or 32 bits for code of privilege `cpl`.
    static Stack in_segment(const Cpu& cpu, const x86::SegmentRegister& ss, uint64_t sp,
                            uint8_t cpl) {
        const uint64_t mask = ss.attributes.get<x86::Attributes::Big>() ? 0xFFFFFFFF : 0xFFFF;
        return {ss, sp & mask, mask, view_of(cpu, cpl)};
    }
    static Stack flat64(const Cpu& cpu, uint64_t sp, uint8_t cpl) {
        return {{}, sp, ~uint64_t{0}, view_of(cpu, cpl)};
    }
};

// An element of 2, 4 or 8 bytes.
inline uint64_t load_element(const std::byte* from, unsigned width) {
    uint64_t value = 0;
    switch (width) {
        case 2: std::memcpy(&value, from, 2); break;
        case 4: std::memcpy(&value, from, 4); break;
        default: std::memcpy(&value, from, 8); break;
    }
    return value;
}
inline void store_element(std::byte* to, unsigned width, uint64_t value) {
    switch (width) {
        case 2: std::memcpy(to, &value, 2); break;
        case 4: std::memcpy(to, &value, 4); break;
        default: std::memcpy(to, &value, 8); break;
    }
}

class StackFrame {
public:
    // `width`: bytes of each element: 2, 4, 8.
    StackFrame(const Stack& stack, unsigned width) : stack_(stack), width_(width) {}

    void push(uint64_t value) { store_element(bytes_.data() + start_of(++count_), width_, value); }
    // False: #SS with `selector` (0 for the current stack) or #PF is pending, and nothing was
    // written.
    [[nodiscard]] bool write(Cpu& cpu, const Loading& by, uint16_t selector) const;
    // The stack pointer after the pushes.
    uint64_t sp() const { return (stack_.sp - uint64_t{count_} * width_) & stack_.mask; }

private:
    static constexpr unsigned kMaxElements = 36;  // a call gate with 31 parameters
    static constexpr unsigned kRoom = kMaxElements * 8;

    bool in_limits(uint64_t offset, unsigned size) const;
    bool write_range(Cpu& cpu, const Loading& by, unsigned first, unsigned count) const;
    // Where in bytes_ the last of `count` elements begins.
    unsigned start_of(unsigned count) const { return kRoom - count * width_; }

    Stack stack_;
    unsigned width_;
    unsigned count_ = 0;
    std::array<std::byte, kRoom> bytes_;  // as they will stand on the stack, up to its end
};

// SS:SP for privilege `cpl` (0..2) from the TSS, checked: Intel SDM vol. 3 section 5.8.5 and 7.7.
// False: #TS, #SS or #PF is pending. In long mode SS becomes null.
[[nodiscard]] bool read_inner_stack(Cpu& cpu, const Loading& by, uint8_t cpl, Stack& stack);

}  // namespace banyan::interp
