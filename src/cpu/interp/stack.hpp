// Push and pop on the current stack. In 64-bit mode the stack segment is flat: straight to the TLB.
#pragma once

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

// Nothing is checked but what the TLB checks.
inline bool is_plain_stack(Mode mode) {
    return (mode.bits & (Mode::kCode64 | Mode::kAlignmentCheck)) == Mode::kCode64;
}

template <class T>
[[nodiscard]] bool read_stack(Cpu& cpu, const Op* op, uint64_t offset, T& value) {
    if (is_plain_stack(cpu.mode)) {
        if (const std::byte* host = cpu.tlb->readable(offset, sizeof(T))) [[likely]] {
            std::memcpy(&value, host, sizeof(T));
            return true;
        }
    }
    return cpu.read_segment(op, x86::kSs, offset, value);
}

template <class T>
[[nodiscard]] bool write_stack(Cpu& cpu, const Op* op, uint64_t offset, T value) {
    if (is_plain_stack(cpu.mode)) {
        if (std::byte* host = cpu.tlb->writable(offset, sizeof(T))) [[likely]] {
            std::memcpy(host, &value, sizeof(T));
            return true;
        }
    }
    return cpu.write_segment(op, x86::kSs, offset, value);
}

// RSP changes only if the access went well.
template <class T>
[[nodiscard]] bool push(Cpu& cpu, const Op* op, T value) {
    const uint64_t top = (cpu.gpr[x86::kRsp] - sizeof(T)) & cpu.stack_mask;
    if (!write_stack(cpu, op, top, value)) [[unlikely]]
        return false;
    cpu.commit_rsp(top);
    return true;
}

template <class T>
[[nodiscard]] bool pop(Cpu& cpu, const Op* op, T& value) {
    const uint64_t top = cpu.stack_pointer();
    if (!read_stack(cpu, op, top, value)) [[unlikely]]
        return false;
    cpu.commit_rsp(top + sizeof(T));
    return true;
}

}  // namespace banyan::interp
