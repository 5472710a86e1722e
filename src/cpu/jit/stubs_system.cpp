#include "cpu/jit/stubs_system.hpp"

#include <bit>

#include "cpu/jit/code_buffer.hpp"
#include "cpu/jit/layout.hpp"

namespace banyan::jit {

namespace {

using interp::CachedMode;
using interp::ModeCache;

// What SYSCALL and SYSRET load, as interp/fast_calls.cpp has it: attributes above the selector.
constexpr uint32_t kCode = 0xA09B0000;  // granular, 64-bit, present, code, readable, accessed
constexpr uint32_t kData = 0xC0930000;
constexpr uint32_t kDpl3 = 0x00600000;
constexpr uint32_t kReturnFlags = 0x3C7FD5;
// A mode with one of them is none that is cached.
constexpr uint32_t kSlowFlags = x86::kTf | x86::kAc | x86::kRf | x86::kVm;
constexpr uint32_t kSystemFlags = x86::kTf | x86::kIf | x86::kDf | x86::kIopl | x86::kNt |
                                  x86::kRf | x86::kVm | x86::kAc | x86::kVif | x86::kVip | x86::kId;
constexpr int32_t kWindowShift = 5;
static_assert(sizeof(JitCpu::Window) == 1 << kWindowShift);
static_assert(interp::kEventInterrupt == 1 && x86::kIf == 1 << 9);

class SystemStubWriter {
public:
    SystemStubWriter(interp::CodeMemory& memory, const SystemConfig& config)
        : memory_(memory), buffer_(memory.next()), a_(buffer_.assembler()), config_(config) {}

    const uint8_t* finish() { return buffer_.finish(memory_); }

    void write_syscall(const uint8_t* lookup);
    void write_sysret(const uint8_t* lookup);
    void write_set_ac(bool set, const uint8_t* lookup);

private:
    using Label = asmjit::Label;

    static int32_t entry_at(CachedMode mode) {
        return kModesAt +
               static_cast<int32_t>(static_cast<size_t>(mode) * sizeof(ModeCache::Entry));
    }
    static x86a::Mem entry(CachedMode mode, size_t member, unsigned size = 8) {
        return state(entry_at(mode) + static_cast<int32_t>(member), size);
    }
    void begin();
    void check_known(CachedMode mode);
    void check_cpl0();
    void check_sce();
    void check_nothing_parked();
    void set_rflags();
    void load_segment(x86::Segment segment);
    void enter(CachedMode mode, const uint8_t* lookup);
    void show_window();
    void end();

    interp::CodeMemory& memory_;
    CodeBuffer buffer_;
    x86a::Assembler& a_;
    const SystemConfig& config_;
    Label slow_;
};

void SystemStubWriter::begin() {
    slow_ = a_.newLabel();
    a_.mov(state(kScratchAt), kT1);
}

void SystemStubWriter::end() {
    a_.bind(slow_);
    a_.jmp(state(kScratchAt));
}

void SystemStubWriter::check_known(CachedMode mode) {
    a_.cmp(entry(mode, offsetof(ModeCache::Entry, known), 1), 0);
    a_.je(slow_);
}

void SystemStubWriter::check_cpl0() {
    a_.cmp(state(kCplAt, 1), 0);
    a_.jne(slow_);
}

void SystemStubWriter::check_sce() {
    a_.test(state(msr_at(offsetof(x86::MsrState, efer)), 1), x86::kEferSce);
    a_.jz(slow_);
}

// An interrupt that waits for IF is the interpreter's to see to.
void SystemStubWriter::check_nothing_parked() {
    a_.cmp(state(kInterruptParkedAt, 1), 0);
    a_.jne(slow_);
}

// Cpu::set_rflags() to what is in T0.
void SystemStubWriter::set_rflags() {
    a_.mov(kT1.r32(), kT0.r32());
    a_.and_(kT1.r32(), kSystemFlags);
    a_.mov(state(kSystemFlagsAt, 4), kT1.r32());
    a_.mov(kT1.r32(), kT0.r32());
    a_.and_(kT1.r32(), 0xD5);
    a_.shl(kT1.r32(), 8);
    a_.shr(kT0.r32(), 11);
    a_.and_(kT0.r32(), 1);
    a_.lea(kT0.r32(), x86a::ptr(kT0, kT1, 0, 0x200));
    a_.mov(state(kArithAt, 2), kT0.r16());
}

// A flat segment: selector and attributes are in T1.
void SystemStubWriter::load_segment(x86::Segment segment) {
    const auto at = kSegmentsAt + static_cast<int32_t>(segment * sizeof(x86::SegmentRegister));
    a_.mov(state(at, 4), kT1.r32());
    a_.mov(state(at + 4, 4), 0xFFFFFFFF);
    a_.mov(state(at + 8), 0);
}

// Goes on in this mode at the address in T0.
void SystemStubWriter::enter(CachedMode mode, const uint8_t* lookup) {
    a_.mov(state(kRipAt), kT0);
    a_.mov(kT1.r32(), entry(mode, offsetof(ModeCache::Entry, bits), 4));
    a_.mov(state(kModeAt, 4), kT1.r32());
    a_.mov(kT1, entry(mode, offsetof(ModeCache::Entry, context)));
    a_.mov(state(kContextAt), kT1);
    a_.mov(kT0, entry(mode, offsetof(ModeCache::Entry, tlb)));
    a_.mov(state(kTlbAt), kT0);
    a_.movzx(kT1.r32(), entry(mode, offsetof(ModeCache::Entry, view), 1));
    a_.mov(state(kViewAt, 1), kT1.r8());
    show_window();
    a_.mov(kT0, state(kRipAt));
    a_.jmp(std::bit_cast<uint64_t>(lookup));
}

// Runtime::choose_window(): the TLB is in T0, the view in T1.
void SystemStubWriter::show_window() {
    const Label none = a_.newLabel();
    const Label chosen = a_.newLabel();
    a_.add(kStack, state(kStackSubtrahendAt));
    a_.mov(kT0, x86a::ptr(kT0, static_cast<int32_t>(interp::Tlb::Layout::generation), 8));
    a_.shl(kT1.r32(), kWindowShift);
    const auto window = [&](size_t member) {
        return table(kT1, kWindowsAt + static_cast<int32_t>(member));
    };
    a_.cmp(kT0, window(offsetof(JitCpu::Window, generation)));
    a_.jne(none);
    a_.mov(kT0, window(offsetof(JitCpu::Window, low)));
    a_.mov(kT1, window(offsetof(JitCpu::Window, addend)));
    a_.bind(chosen);
    a_.mov(state(kStackLowAt), kT0);
    a_.mov(state(kStackAddendAt), kT1);
    a_.add(kStack, kT1);
    a_.neg(kT1);
    a_.mov(state(kStackSubtrahendAt), kT1);
    const Label done = a_.newLabel();
    a_.jmp(done);
    a_.bind(none);
    a_.mov(kT0, state(kNoStackLowAt));
    a_.mov(kT1, state(kNoStackAddendAt));
    a_.jmp(chosen);
    a_.bind(done);
}

void SystemStubWriter::write_syscall(const uint8_t* lookup) {
    begin();
    check_known(CachedMode::kernel);
    check_nothing_parked();
    check_sce();
    a_.mov(kT1.r32(), state(msr_at(offsetof(x86::MsrState, sfmask)), 4));
    a_.not_(kT1.r32());
    a_.and_(kT1.r32(), state(kSystemFlagsAt, 4));
    a_.test(kT1.r32(), kSlowFlags);
    a_.jnz(slow_);
    a_.mov(host_gpr(x86::kRcx), kT0);
    load_rflags(a_, kT0, kT1);
    a_.mov(guest_gpr(x86::kR11), kT0);
    a_.mov(kT1.r32(), state(msr_at(offsetof(x86::MsrState, sfmask)), 4));
    a_.not_(kT1.r32());
    a_.and_(kT0.r32(), kT1.r32());
    set_rflags();
    a_.movzx(kT0.r32(), state(msr_at(offsetof(x86::MsrState, star) + 4), 2));
    a_.lea(kT1.r32(), x86a::ptr(kT0, 8));
    a_.movzx(kT1.r32(), kT1.r16());
    a_.or_(kT1.r32(), kData);
    load_segment(x86::kSs);
    a_.mov(kT1.r32(), kT0.r32());
    a_.and_(kT1.r32(), 0xFFFC);
    a_.or_(kT1.r32(), kCode);
    load_segment(x86::kCs);
    a_.mov(state(kCplAt, 1), 0);
    a_.mov(state(kDebugStepAt, 1), 0);
    a_.mov(kT0, state(msr_at(offsetof(x86::MsrState, lstar))));
    enter(CachedMode::kernel, lookup);
    end();
}

void SystemStubWriter::write_sysret(const uint8_t* lookup) {
    const x86a::Gp rcx = host_gpr(x86::kRcx);
    begin();
    check_cpl0();
    check_known(CachedMode::user);
    check_nothing_parked();
    check_sce();
    jump_unless_canonical(a_, rcx, kT0, slow_);
    a_.mov(kT0.r32(), state(kGprAt + x86::kR11 * 8, 4));
    a_.and_(kT0.r32(), kReturnFlags);
    a_.test(kT0.r32(), kSlowFlags);
    a_.jnz(slow_);
    set_rflags();
    a_.movzx(kT0.r32(), state(msr_at(offsetof(x86::MsrState, star) + 6), 2));
    a_.lea(kT1.r32(), x86a::ptr(kT0, 8));
    if (config_.amd) {
        const auto at = kSegmentsAt + static_cast<int32_t>(x86::kSs * sizeof(x86::SegmentRegister));
        a_.mov(state(at, 2), kT1.r16());
        a_.or_(state(at, 4), kDpl3);
    } else {
        a_.movzx(kT1.r32(), kT1.r16());
        a_.or_(kT1.r32(), kData | kDpl3 | 3);
        load_segment(x86::kSs);
    }
    a_.lea(kT1.r32(), x86a::ptr(kT0, 16));
    a_.movzx(kT1.r32(), kT1.r16());
    a_.or_(kT1.r32(), kCode | kDpl3 | 3);
    load_segment(x86::kCs);
    a_.mov(state(kCplAt, 1), 3);
    a_.mov(state(kDebugStepAt, 1), 0);
    a_.mov(kT0, rcx);
    enter(CachedMode::user, lookup);
    end();
}

void SystemStubWriter::write_set_ac(bool set, const uint8_t* lookup) {
    const CachedMode mode = set ? CachedMode::kernel_open : CachedMode::kernel;
    begin();
    check_cpl0();
    check_known(mode);
    if (set) {
        a_.or_(state(kSystemFlagsAt, 4), x86::kAc);
    } else {
        a_.and_(state(kSystemFlagsAt, 4), ~uint32_t{x86::kAc});
    }
    enter(mode, lookup);
    end();
}

}  // namespace

const uint8_t* SystemStubs::transfer_for(ZydisMnemonic mnemonic, bool user) const {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_SYSCALL: return user ? syscall : nullptr;
        case ZYDIS_MNEMONIC_SYSRET: return user ? nullptr : sysret;
        case ZYDIS_MNEMONIC_STAC: return user ? nullptr : stac;
        case ZYDIS_MNEMONIC_CLAC: return user ? nullptr : clac;
        default: return nullptr;
    }
}

SystemStubs write_system_stubs(interp::CodeMemory& memory, const SystemConfig& config,
                               const uint8_t* lookup) {
    const auto add = [&](auto write) -> const uint8_t* {
        SystemStubWriter writer(memory, config);
        write(writer);
        return writer.finish();
    };
    SystemStubs stubs;
    stubs.rdtscp = config.rdtscp;
    stubs.syscall = add([&](SystemStubWriter& w) { w.write_syscall(lookup); });
    stubs.sysret = add([&](SystemStubWriter& w) { w.write_sysret(lookup); });
    if (config.smap) {
        stubs.stac = add([&](SystemStubWriter& w) { w.write_set_ac(true, lookup); });
        stubs.clac = add([&](SystemStubWriter& w) { w.write_set_ac(false, lookup); });
    }
    return stubs;
}

void load_rflags(x86a::Assembler& a, const x86a::Gp& to, const x86a::Gp& temporary) {
    a.movzx(to.r32(), state(kArithAt, 2));
    a.mov(temporary.r32(), to.r32());
    a.shr(temporary.r32(), 8);
    a.and_(temporary.r32(), 0xD5);
    a.and_(to.r32(), 1);
    a.shl(to.r32(), 11);
    a.or_(to.r32(), temporary.r32());
    a.or_(to.r32(), state(kSystemFlagsAt, 4));
    a.or_(to.r32(), x86::kFlagsFixed);
}

void jump_unless_canonical(x86a::Assembler& a, const x86a::Gp& address, const x86a::Gp& temporary,
                           const asmjit::Label& to) {
    a.mov(temporary, address);
    a.shl(temporary, 16);
    a.sar(temporary, 16);
    a.cmp(temporary, address);
    a.jne(to);
}

}  // namespace banyan::jit
