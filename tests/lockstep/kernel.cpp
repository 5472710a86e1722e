#include "lockstep/kernel.hpp"

#include <algorithm>

#include "conformance/offered.hpp"
#include "lockstep/handlers.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kIdtEntries = 256;

// A 64-bit interrupt gate.
void put_gate(Image& image, uint64_t vector, uint64_t handler, unsigned stack, unsigned dpl) {
    const uint64_t attributes = 0x8E00U | dpl << 13 | stack;
    image.put(kIdt + vector * 16, (handler & 0xFFFF) | uint64_t{kKernelCs} << 16 |
                                      attributes << 32 | (handler & 0xFFFF0000) << 32);
    image.put(kIdt + vector * 16 + 8, handler >> 32);
}

void build_gdt(Image& image) {
    image.put(kGdt + kKernelCs, uint64_t{0x00AF9B000000FFFF});
    image.put(kGdt + kKernelSs, uint64_t{0x00CF93000000FFFF});
    image.put(kGdt + (kUserSs & 0xFFF8), uint64_t{0x00CFF3000000FFFF});
    image.put(kGdt + (kUserCs & 0xFFF8), uint64_t{0x00AFFB000000FFFF});
    const uint64_t tss = kKernelWindow + kTss;
    image.put(kGdt + kTssSelector,
              uint64_t{0x00008B0000000067} | (tss & 0xFFFFFF) << 16 | (tss >> 24 & 0xFF) << 56);
    image.put(kGdt + kTssSelector + 8, tss >> 32);
}

void build_tss(Image& image) {
    image.put(kTss + 4, kKernelWindow + kInnerStack);
    const uint64_t stacks[] = {kFaultStack, kRandomTimeStack, kCheckpointStack, kPortStack};
    for (uint64_t i = 0; i < std::size(stacks); ++i)
        image.put(kTss + 0x24 + i * 8, kKernelWindow + stacks[i]);
    image.put(kTss + 0x66, uint16_t{0x68});  // no I/O bitmap: beyond the limit
}

void build_per_cpu_page(Image& image, const Settings& settings) {
    image.put(kPerCpu + kPerCpuKernelRsp, kKernelWindow + kSyscallStack);
    image.put(kPerCpu + kPerCpuCs, uint64_t{settings.supervisor ? kKernelCs : kUserCs});
    image.put(kPerCpu + kPerCpuSs, uint64_t{settings.supervisor ? kKernelSs : kUserSs});
    image.put(kPerCpu + kPerCpuRsp, settings.stack_top());
    image.put(kPerCpu + kPerCpuFsBase, settings.fs_base());
    image.put(kPerCpu + kPerCpuGsBase, settings.gs_base());
    image.put(kPerCpu + kPerCpuLimit, settings.exception_limit);
}

x86::SegmentRegister data_segment(bool supervisor, uint64_t base = 0) {
    return supervisor ? x86::SegmentRegister{kKernelSs, {0xC093}, 0xFFFFFFFF, base}
                      : x86::SegmentRegister{kUserSs, {0xC0F3}, 0xFFFFFFFF, base};
}

void set_control_registers(x86::RegisterState& s, const Settings& settings) {
    s.cr0 = x86::kCr0Pe | x86::kCr0Mp | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg |
            (settings.alignment_check ? uint64_t{x86::kCr0Am} : 0);
    s.cr3 = kRootA;
    s.cr4 = x86::kCr4Pae | x86::kCr4Pge | x86::kCr4OsFxsr | x86::kCr4OsXmmExcpt | x86::kCr4OsXsave |
            x86::kCr4FsGsBase | x86::kCr4Smep | (settings.smap ? uint64_t{x86::kCr4Smap} : 0);
    s.xcr0 = conformance::offered_components();
}

void set_msrs(x86::RegisterState& s, uint64_t syscall_entry) {
    s.msr.efer = x86::kEferSce | x86::kEferLme | x86::kEferLma | x86::kEferNxe;
    // SYSCALL loads CS 8 and SS 10H, SYSRET CS 23H and SS 1BH. Intel's processors set both RPLs to
    // 3, AMD's take that of SS from here.
    s.msr.star = uint64_t{kKernelSs | 3} << 48 | uint64_t{kKernelCs} << 32;
    s.msr.lstar = syscall_entry;
    s.msr.sfmask = x86::kTf | x86::kIf | x86::kDf | x86::kNt | x86::kAc;
    s.msr.kernel_gs_base = kKernelWindow + kPerCpu;
}

}  // namespace

void build_kernel(Image& image, const Settings& settings) {
    build_gdt(image);
    build_tss(image);
    build_per_cpu_page(image, settings);
    const Handlers handlers = assemble_handlers(
        std::span(image.bytes()).subspan(kHandlers, kHandlersSize), kKernelWindow + kHandlers);
    for (uint64_t vector = 0; vector < kIdtEntries; ++vector) {
        const Handler& handler = handlers.vectors[vector];
        put_gate(image, vector, handler.address, handler.stack, handler.open ? 3 : 0);
    }
    image.put(kPerCpu + kPerCpuSyscallEntry, handlers.syscall);
}

x86::RegisterState initial_state(const Image& image, const Settings& settings, uint64_t entry) {
    x86::RegisterState s = x86::power_on_state(true, 0);
    const x86::SegmentRegister data = data_segment(settings.supervisor);
    const x86::SegmentRegister code = settings.supervisor
                                          ? x86::SegmentRegister{kKernelCs, {0xA09B}, 0xFFFFFFFF, 0}
                                          : x86::SegmentRegister{kUserCs, {0xA0FB}, 0xFFFFFFFF, 0};
    s.segments = {data,
                  code,
                  data,
                  data,
                  data_segment(settings.supervisor, settings.fs_base()),
                  data_segment(settings.supervisor, settings.gs_base())};
    s.tr = {kTssSelector, {0x8B}, 0x67, kKernelWindow + kTss};
    s.gdtr = {kKernelWindow + kGdt, 0x37};
    s.idtr = {kKernelWindow + kIdt, kIdtEntries * 16 - 1};
    s.gpr[x86::kRsp] = settings.stack_top();
    s.rip = entry;
    s.rflags = x86::kFlagsFixed | x86::kIf;
    set_control_registers(s, settings);
    set_msrs(s, image.get<uint64_t>(kPerCpu + kPerCpuSyscallEntry));
    return s;
}

}  // namespace banyan::lockstep
