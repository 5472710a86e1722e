// JitCpu: a Cpu that generated code runs on. While such code runs, RSP points to it: what lies
// below is the stack of that code and of what it calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cpu/interp/cpu.hpp"

namespace banyan::jit {

// Why generated code came back.
enum class HostExit : uint32_t {
    dispatch,   // cpu.rip says where to go on
    link,       // the same, and `link` says which jump led there
    interpret,  // the block at cpu.rip is to be interpreted this time
    stack,      // the block at cpu.rip does not find its stack in the stack window
};

struct JitCpu final : interp::Cpu {
    using Cpu::Cpu;

    // Cpu::kHotSize says why: what follows has its place in another part of a KiB.
    alignas(1024) std::array<std::byte, kHotSize> gap{};

    // --- the stack window: one page of the guest's stack, whose RSP is kept as a host address.
    // What each view saw last; true as long as the generation is that of its TLB.
    struct alignas(32) Window {
        uint64_t low = 0;
        uint64_t addend = 0;
        uint64_t generation = 0;  // 0: never
    };
    std::array<Window, interp::kViewCount> windows{};
    // What is seen now.
    uint64_t stack_low = ~uint64_t{0};  // where the page is on the host
    uint64_t stack_addend = 0;          // host address = linear + addend
    uint64_t stack_subtrahend = 0;      // -addend: added by LEA, which changes no flags
    // What it shows while it shows no stack: a page at an address that is not canonical and that no
    // guest can guess.
    uint64_t no_stack_low = 0;
    uint64_t no_stack_addend = 0;

    // The bits of an address that choose the entry of a TLB.
    uint64_t tlb_mask = uint64_t{interp::Tlb::kEntries - 1} << kPageShift;
    // Where groups of accesses are on the host; of use within a basic block only.
    static constexpr size_t kGroupAddresses = 16;
    std::array<uint64_t, kGroupAddresses> group_addresses{};
    // Clock::host_tsc_offset(), as it is while this CPU runs.
    uint64_t tsc_offset = 0;
    bool has_tsc_offset = false;

    uint64_t host_rsp = 0;  // of the C++ code that entered
    // How much of the vector state is in the host's registers. With kYmm, the rest of those
    // registers is zero, and what only AVX-512 has is not touched.
    enum VectorsLive : uint32_t { kNoVectors, kYmm, kAllVectors };
    uint32_t vectors_live = kNoVectors;
    HostExit exit = HostExit::dispatch;
    uint32_t link = 0;
    uint64_t scratch = 0;
    bool op_finished = false;  // the instruction that was interpreted went on to the next one
    uint32_t host_mxcsr = 0x1F80;
    uint32_t x87_live = 0;
    uint16_t host_fcw = 0x037F;
};

struct JitCpuDeleter {
    void operator()(JitCpu* cpu) const;
};
using JitCpuPtr = std::unique_ptr<JitCpu, JitCpuDeleter>;

// With a stack below it. Null: the host has no memory for it.
JitCpuPtr make_jit_cpu(const VcpuWiring& wiring, GuestMemory& memory, const Clock& clock,
                       const interp::CpuModel& model, interp::CodeCoherence& coherence);

}  // namespace banyan::jit
