// Where generated code finds things: registers of the guest, temporaries, and the Cpu's members as
// displacements from RSP. The one place that knows how the state is addressed.
#pragma once

#include <array>
#include <asmjit/x86.h>
#include <cstddef>
#include <cstdint>

#include "cpu/jit/jit_cpu.hpp"

namespace banyan::jit {

namespace x86a = asmjit::x86;

// --- registers: docs/jit.md says why these.
inline constexpr unsigned kGuestRsp = 4;
inline constexpr x86a::Gp kT0 = x86a::r10;  // addresses
inline constexpr x86a::Gp kT1 = x86a::r11;
inline constexpr x86a::Gp kStack = x86a::r9;  // the guest's RSP as a host address

// Kept in the host register of the same number, or in memory; RSP is neither.
constexpr bool in_register(unsigned gpr) {
    return gpr != kGuestRsp && (gpr < 9 || gpr > 11);
}
inline x86a::Gp host_gpr(unsigned number) {
    return x86a::gpq(number);
}

// --- memory
inline constexpr unsigned kJumpShift = 4;  // the logarithm of a Jump's size
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // see interp/native_layout.hpp

inline constexpr int32_t kGprAt = offsetof(JitCpu, gpr);
inline constexpr int32_t kRipAt = offsetof(JitCpu, rip);
inline constexpr int32_t kArithAt = offsetof(JitCpu, arith);
inline constexpr int32_t kSystemFlagsAt = offsetof(JitCpu, system_flags);
inline constexpr int32_t kCplAt = offsetof(JitCpu, cpl);
inline constexpr int32_t kSegmentsAt = offsetof(JitCpu, seg);
inline constexpr int32_t kMsrAt = offsetof(JitCpu, msr);
inline constexpr int32_t kCr0At = offsetof(JitCpu, cr0);
inline constexpr int32_t kCr2At = offsetof(JitCpu, cr2);
inline constexpr int32_t kCr3At = offsetof(JitCpu, cr3);
inline constexpr int32_t kCr4At = offsetof(JitCpu, cr4);
inline constexpr int32_t kModeAt = offsetof(JitCpu, mode);
inline constexpr int32_t kTlbAt = offsetof(JitCpu, tlb);
inline constexpr int32_t kViewAt = offsetof(JitCpu, view);
inline constexpr int32_t kModesAt = offsetof(JitCpu, modes) + offsetof(interp::ModeCache, entries);
inline constexpr int32_t kDebugStepAt =
    offsetof(JitCpu, debug) + offsetof(interp::DebugTraps, step);
inline constexpr int32_t kBaseAt = offsetof(JitCpu, base);
inline constexpr int32_t kEventsAt = offsetof(JitCpu, events);
inline constexpr int32_t kInterruptParkedAt = offsetof(JitCpu, interrupt_parked);
inline constexpr int32_t kRetiredAt = offsetof(JitCpu, retired);
inline constexpr int32_t kContextAt = offsetof(JitCpu, context);
inline constexpr int32_t kTlbsAt = offsetof(JitCpu, tlbs);
inline constexpr int32_t kJumpsAt = offsetof(JitCpu, jumps) + interp::JumpTable::jumps_offset();
inline constexpr int32_t kYmmAt = offsetof(JitCpu, vectors) + offsetof(interp::Cpu::Vectors, ymm);
inline constexpr int32_t kMxcsrAt =
    offsetof(JitCpu, vectors) + offsetof(interp::Cpu::Vectors, mxcsr);
inline constexpr int32_t kAvx512At = offsetof(JitCpu, avx512);
inline constexpr int32_t kZmmHighAt = kAvx512At + offsetof(interp::Cpu::Avx512, zmm_high);
inline constexpr int32_t kHighZmmAt = kAvx512At + offsetof(interp::Cpu::Avx512, high_zmm);
inline constexpr int32_t kOpmaskAt = kAvx512At + offsetof(interp::Cpu::Avx512, k);
inline constexpr int32_t kZmmHighInUseAt =
    kAvx512At + offsetof(interp::Cpu::Avx512, zmm_high_in_use);
inline constexpr int32_t kStackLowAt = offsetof(JitCpu, stack_low);
inline constexpr int32_t kStackAddendAt = offsetof(JitCpu, stack_addend);
inline constexpr int32_t kStackSubtrahendAt = offsetof(JitCpu, stack_subtrahend);
inline constexpr int32_t kTlbMaskAt = offsetof(JitCpu, tlb_mask);
inline constexpr int32_t kGroupAddressesAt = offsetof(JitCpu, group_addresses);
inline constexpr int32_t kWindowsAt = offsetof(JitCpu, windows);
inline constexpr int32_t kNoStackLowAt = offsetof(JitCpu, no_stack_low);
inline constexpr int32_t kNoStackAddendAt = offsetof(JitCpu, no_stack_addend);
inline constexpr int32_t kTscOffsetAt = offsetof(JitCpu, tsc_offset);
inline constexpr int32_t kHasTscOffsetAt = offsetof(JitCpu, has_tsc_offset);
inline constexpr int32_t kHostRspAt = offsetof(JitCpu, host_rsp);
inline constexpr int32_t kVectorsLiveAt = offsetof(JitCpu, vectors_live);
inline constexpr int32_t kExitAt = offsetof(JitCpu, exit);
inline constexpr int32_t kLinkAt = offsetof(JitCpu, link);
inline constexpr int32_t kScratchAt = offsetof(JitCpu, scratch);
inline constexpr int32_t kHostMxcsrAt = offsetof(JitCpu, host_mxcsr);
inline constexpr int32_t kX87LiveAt = offsetof(JitCpu, x87_live);
inline constexpr int32_t kHostFcwAt = offsetof(JitCpu, host_fcw);

#pragma GCC diagnostic pop

static_assert(kGprAt == 0, "registers are reached with 8-bit displacements");

// A byte of the state, as a store to it delays loads: Cpu::kHotSize.
constexpr size_t place_in_kib(int32_t at) {
    return static_cast<size_t>(at) % 1024;
}
static_assert(kBaseAt + int32_t{sizeof(JitCpu::base)} <= int32_t{interp::Cpu::kHotSize});
static_assert(place_in_kib(kWindowsAt) >= interp::Cpu::kHotSize);
static_assert(place_in_kib(kHostFcwAt) > place_in_kib(kWindowsAt));
static_assert(sizeof(interp::Jump) == 1U << kJumpShift);

// A member of the Cpu; `pushed`: bytes that are on the stack above it.
inline x86a::Mem state(int32_t at, unsigned size = 8, int32_t pushed = 0) {
    return x86a::ptr(x86a::rsp, at + pushed, size);
}
inline x86a::Mem guest_gpr(unsigned number, int32_t pushed = 0) {
    return state(kGprAt + static_cast<int32_t>(number) * 8, 8, pushed);
}
// A member of x86::MsrState.
constexpr int32_t msr_at(size_t member) {
    return kMsrAt + static_cast<int32_t>(member);
}
// A member of the entry at byte offset `index` of a table in the Cpu.
inline x86a::Mem table(const x86a::Gp& index, int32_t at) {
    return x86a::ptr(x86a::rsp, index, 0, at, 8);
}

// Where a part of a view's TLB (Tlb::Layout) is in the state.
constexpr int32_t tlb_at(interp::View view, size_t part) {
    const size_t tlb = static_cast<unsigned>(view) * sizeof(interp::Tlb);
    return kTlbsAt + static_cast<int32_t>(tlb + part);
}
// The member of a table whose index is in T1; `pushed` as above.
inline x86a::Mem tlb_member(interp::View view, size_t table, int32_t pushed = 0) {
    return x86a::ptr(x86a::rsp, kT1, 3, tlb_at(view, table) + pushed, 8);
}
constexpr int32_t generation_at(interp::View view) {
    return tlb_at(view, interp::Tlb::Layout::generation);
}
// The index for the address in T0 to T1. Changes flags.
inline void find_tlb_index(x86a::Assembler& a, bool fast_pext, int32_t pushed = 0) {
    if (fast_pext) {
        a.pext(kT1, kT0, state(kTlbMaskAt, 8, pushed));
        return;
    }
    a.mov(kT1.r32(), kT0.r32());
    a.shr(kT1.r32(), static_cast<int32_t>(kPageShift));
    a.and_(kT1.r32(), interp::Tlb::kEntries - 1);
}

// A member of the entry of the jump table whose offset is in T1.
inline x86a::Mem jump_member(size_t member) {
    return table(kT1, kJumpsAt + static_cast<int32_t>(member));
}
// Finds the first place of the address in T0: its offset to T1, the wanted tag to T0. Equal, if it
// is there.
inline void find_jump(x86a::Assembler& a) {
    static_assert(interp::JumpTable::kPlaces == 1U << 16);
    a.movzx(kT1.r32(), kT0.r16());
    a.shl(kT1.r32(), kJumpShift);
    a.xor_(kT0, state(kContextAt));
    a.cmp(kT0, jump_member(offsetof(interp::Jump, tag)));
}
// The same for the second place of the address whose wanted tag is in T0. `pushed` as above.
inline void find_second_jump(x86a::Assembler& a, int32_t pushed) {
    constexpr auto kSeconds = static_cast<int32_t>(interp::JumpTable::kPlaces << kJumpShift);
    a.mov(kT1, kT0);
    a.xor_(kT1, state(kContextAt, 8, pushed));
    a.imul(kT1.r32(), kT1.r32(), static_cast<int32_t>(interp::JumpTable::kHash));
    a.shr(kT1.r32(), 16);
    a.shl(kT1.r32(), kJumpShift);
    a.add(kT1.r32(), kSeconds);
    a.cmp(kT0, jump_member(offsetof(interp::Jump, tag)).cloneAdjusted(pushed));
}

}  // namespace banyan::jit
