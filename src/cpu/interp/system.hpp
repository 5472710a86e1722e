// The parts of the system family (select_system), and the small things they share.
#pragma once

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/op.hpp"

namespace banyan::interp {

Handler select_segments(const Decoded& decoded, Op& op);             // segment_instructions.cpp
Handler select_segment_queries(const Decoded& decoded, Op& op);      // segment_queries.cpp
Handler select_table_registers(const Decoded& decoded, Op& op);      // table_registers.cpp
Handler select_far_transfers(const Decoded& decoded, Op& op);        // far_transfer.cpp
Handler select_far_returns(const Decoded& decoded, Op& op);          // far_return.cpp
Handler select_interrupt_return(const Decoded& decoded, Op& op);     // interrupt_return.cpp
Handler select_fast_calls(const Decoded& decoded, Op& op);           // fast_calls.cpp
Handler select_software_interrupts(const Decoded& decoded, Op& op);  // software_interrupts.cpp
Handler select_flag_control(const Decoded& decoded, Op& op);         // flag_control.cpp
Handler select_control_registers(const Decoded& decoded, Op& op);    // control_registers.cpp
Handler select_debug_registers(const Decoded& decoded, Op& op);      // debug_registers.cpp
Handler select_processor_control(const Decoded& decoded, Op& op);    // processor_control.cpp
Handler select_ports(const Decoded& decoded, Op& op);                // io.cpp

// Privileged instructions. False: #GP(0) is pending.
[[nodiscard]] inline bool require_cpl0(Cpu& cpu, const Op* op) {
    return cpu.cpl == 0 || cpu.raise_gp(op);
}

constexpr bool is_canonical(uint64_t linear) {
    return static_cast<uint64_t>(static_cast<int64_t>(linear << 16) >> 16) == linear;
}

inline ZydisRegister register_of(const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER ? operand.reg.value : ZYDIS_REGISTER_NONE;
}

// The segment register that a Zydis operand names.
inline x86::Segment segment_of(ZydisRegister reg) {
    switch (reg) {
        case ZYDIS_REGISTER_ES: return x86::kEs;
        case ZYDIS_REGISTER_CS: return x86::kCs;
        case ZYDIS_REGISTER_SS: return x86::kSs;
        case ZYDIS_REGISTER_FS: return x86::kFs;
        case ZYDIS_REGISTER_GS: return x86::kGs;
        default: return x86::kDs;
    }
}

}  // namespace banyan::interp
