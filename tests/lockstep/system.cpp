// What a kernel does, and what user mode asks it for.
#include "lockstep/families.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kChangingPages = 26;  // the first of the data pages whose entries change

bool interrupt(Stream& s, uint64_t vector) {
    return s.emit(ZYDIS_MNEMONIC_INT, {imm(vector)});
}

bool emit_service(Stream& s) {
    return interrupt(s, kServiceVector + s.random.below(kServices));
}

bool emit_checkpoint(Stream& s) {
    return !s.in_loop() && interrupt(s, kCheckpointVector);
}

bool emit_breakpoint(Stream& s) {
    return !s.in_loop() && s.emit(ZYDIS_MNEMONIC_INT3);
}

bool emit_undefined(Stream& s) {
    return !s.in_loop() && s.emit(ZYDIS_MNEMONIC_UD2);
}

bool emit_query(Stream& s) {
    if (!s.are_free({x86::kRax, x86::kRcx, x86::kRdx, x86::kRbx})) return false;
    switch (s.random.below(3)) {
        case 0:
            s.mov(reg(ZYDIS_REGISTER_EAX), imm32(s.random.pick({0U, 1U, 7U, 0x80000001U})));
            s.mov(reg(ZYDIS_REGISTER_ECX), imm(0));
            return s.emit(ZYDIS_MNEMONIC_CPUID);
        case 1: s.mov(reg(ZYDIS_REGISTER_ECX), imm(0)); return s.emit(ZYDIS_MNEMONIC_XGETBV);
        default: return s.emit(ZYDIS_MNEMONIC_RDTSC);
    }
}

// Another FS base for one access.
bool emit_segment_base(Stream& s) {
    if (!s.main) return false;
    const unsigned saved = s.free_gpr();
    const unsigned other = s.free_gpr_but(saved);
    s.emit(ZYDIS_MNEMONIC_RDFSBASE, {reg(gpr(saved))});
    s.mov(reg(gpr(other)), imm(s.address(8)));
    s.emit(ZYDIS_MNEMONIC_WRFSBASE, {reg(gpr(other))});
    s.emit(ZYDIS_MNEMONIC_ADD, {mem(8, ZYDIS_REGISTER_NONE, 0), reg(gpr(other))},
           ZYDIS_ATTRIB_HAS_SEGMENT_FS);
    return s.emit(ZYDIS_MNEMONIC_WRFSBASE, {reg(gpr(saved))});
}

bool emit_segment_read(Stream& s) {
    return s.mov(reg(gpr(s.free_gpr(), s.random.pick({2U, 4U, 8U}))),
                 reg(s.random.pick({ZYDIS_REGISTER_CS, ZYDIS_REGISTER_SS, ZYDIS_REGISTER_DS,
                                    ZYDIS_REGISTER_FS})));
}

// Three instructions with TF set: a debug trap after the first, whose handler clears TF.
bool emit_single_step(Stream& s) {
    if (s.in_loop()) return false;
    s.emit(ZYDIS_MNEMONIC_PUSHFQ);
    s.emit(ZYDIS_MNEMONIC_BTS, {mem(4, ZYDIS_REGISTER_RSP), imm(8)});
    s.emit(ZYDIS_MNEMONIC_POPFQ);
    emit_integer(s);
    return emit_integer(s);
}

bool emit_call_through_remap(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    s.mov(reg(ZYDIS_REGISTER_RAX), imm(s.window() + kRemapWindow));
    return s.emit(ZYDIS_MNEMONIC_CALL, {reg(ZYDIS_REGISTER_RAX)});
}

bool emit_syscall(Stream& s) {
    if (!s.are_free({x86::kRax, x86::kRcx, x86::kR11})) return false;
    s.mov(reg(ZYDIS_REGISTER_EAX), imm(s.random.below(8)));
    return s.emit(ZYDIS_MNEMONIC_SYSCALL);
}

// In user mode #GP.
bool emit_port(Stream& s) {
    if (!s.are_free({x86::kRax, x86::kRdx}) || (!s.supervisor && s.in_loop())) return false;
    const bool in = s.random.chance(50);
    const Operand accumulator =
        reg(s.random.pick({ZYDIS_REGISTER_AL, ZYDIS_REGISTER_AX, ZYDIS_REGISTER_EAX}));
    const bool by_dx = s.random.chance(50);
    if (by_dx) s.mov(reg(ZYDIS_REGISTER_EDX), imm(kPlainPort + s.random.below(4)));
    const Operand port = by_dx ? reg(ZYDIS_REGISTER_DX) : imm(kPlainPort);
    return in ? s.emit(ZYDIS_MNEMONIC_IN, {accumulator, port})
              : s.emit(ZYDIS_MNEMONIC_OUT, {port, accumulator});
}

bool emit_string_port(Stream& s) {
    if (!s.supervisor || !s.are_free({x86::kRcx, x86::kRdx, x86::kRsi, x86::kRdi})) return false;
    s.mov(reg(ZYDIS_REGISTER_EDX), imm(kPlainPort));
    s.mov(reg(ZYDIS_REGISTER_ECX), imm(s.random.below(20)));
    s.mov(reg(ZYDIS_REGISTER_RSI), imm(s.address(8)));
    s.mov(reg(ZYDIS_REGISTER_RDI), imm(s.address(8)));
    return s.emit(s.random.pick({ZYDIS_MNEMONIC_INSB, ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_INSD,
                                 ZYDIS_MNEMONIC_OUTSD}),
                  {}, ZYDIS_ATTRIB_HAS_REP);
}

// --- at CPL 0 only

Operand scratch(unsigned size = 8) {
    return reg(gpr(x86::kRax, size));
}

// The interrupt comes after OUT, or where interrupts are let in again.
bool emit_port_interrupt(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    const uint64_t how = s.random.below(3);
    s.mov(scratch(4), imm(s.random.below(kPortVectors)));
    if (how != 0) s.emit(ZYDIS_MNEMONIC_CLI);
    s.emit(ZYDIS_MNEMONIC_OUT, {imm(kInterruptPort), reg(ZYDIS_REGISTER_AL)});
    if (how == 0) return true;
    emit_integer(s);
    if (how == 1) {
        s.emit(ZYDIS_MNEMONIC_STI);
    } else {
        s.emit(ZYDIS_MNEMONIC_PUSHFQ);
        s.emit(ZYDIS_MNEMONIC_BTS, {mem(4, ZYDIS_REGISTER_RSP), imm(9)});
        s.emit(ZYDIS_MNEMONIC_POPFQ);
    }
    emit_integer(s);
    return s.main || s.emit(ZYDIS_MNEMONIC_CLI);
}

// An interrupt waits while the instruction behind STI runs, whatever that is.
bool emit_interrupt_shadow(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    s.mov(scratch(4), imm(s.random.below(kPortVectors)));
    s.emit(ZYDIS_MNEMONIC_CLI);
    s.emit(ZYDIS_MNEMONIC_OUT, {imm(kInterruptPort), reg(ZYDIS_REGISTER_AL)});
    s.emit(ZYDIS_MNEMONIC_STI);
    const Label next = s.a.make_label();
    switch (s.random.below(4)) {
        case 0:
            s.emit(ZYDIS_MNEMONIC_CLI);
            s.emit(ZYDIS_MNEMONIC_STI);
            break;
        case 1: s.a.branch(ZYDIS_MNEMONIC_JMP, next); break;
        case 2:
            s.emit(ZYDIS_MNEMONIC_PUSHFQ);
            s.emit(ZYDIS_MNEMONIC_POP, {scratch()});
            break;
        default: s.emit(ZYDIS_MNEMONIC_STI); break;
    }
    s.a.bind(next);
    emit_integer(s);
    return s.main || s.emit(ZYDIS_MNEMONIC_CLI);
}

bool emit_control_read(Stream& s) {
    return s.mov(reg(gpr(s.free_gpr())),
                 reg(s.random.pick({ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR2, ZYDIS_REGISTER_CR3,
                                    ZYDIS_REGISTER_CR4})));
}

bool switch_root(Stream& s) {
    s.mov(scratch(), reg(ZYDIS_REGISTER_CR3));
    if (s.random.chance(75)) s.emit(ZYDIS_MNEMONIC_XOR, {scratch(4), imm(kRootA ^ kRootB)});
    return s.mov(reg(ZYDIS_REGISTER_CR3), scratch());
}

// A read, or read and write, so that the TLB has the page: before and after its mapping changes.
void touch(Stream& s, uint64_t linear) {
    const bool guarded = s.settings.smap && linear < kKernelWindow;
    s.mov(scratch(), imm(linear));
    if (guarded) s.emit(ZYDIS_MNEMONIC_STAC);
    if (s.random.chance(50)) {
        s.emit(ZYDIS_MNEMONIC_ADD, {mem(8, ZYDIS_REGISTER_RAX), s.source(8)});
    } else {
        s.emit(ZYDIS_MNEMONIC_XOR, {s.target(8), mem(8, ZYDIS_REGISTER_RAX)});
    }
    if (guarded) s.emit(ZYDIS_MNEMONIC_CLAC);
}

// Pages 22 to 25 are in another order under the other root.
bool emit_root_switch(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    const uint64_t page = kUserWindow + kData + (22 + s.random.below(4)) * kPage + 0x40;
    if (s.random.chance(60)) touch(s, page);
    switch_root(s);
    if (s.random.chance(60)) touch(s, page);
    return true;
}

bool emit_invlpg(Stream& s) {
    const Place place = s.memory(1);
    return s.emit(ZYDIS_MNEMONIC_INVLPG, {place.operand}, place.prefixes);
}

bool invalidate(Stream& s, uint64_t linear) {
    s.mov(scratch(), imm(linear));
    return s.emit(ZYDIS_MNEMONIC_INVLPG, {mem(1, ZYDIS_REGISTER_RAX)});
}

// Both roots' entries of a data page of the user's window, or the kernel's.
bool emit_page_change(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    const uint64_t page = kChangingPages + s.random.below(kDataPages - kChangingPages);
    const uint64_t frame = kData + s.random.below(kDataPages) * kPage;
    const bool user = s.random.chance(60);
    const uint64_t attributes =
        s.random.pick({kPresent | kWritable, kPresent, kWritable | kMapOnFault,
                       kPresent | kWritableOnFault, kWritable}) |
        (user ? kUserPage : 0);
    const uint64_t offset = kData + page * kPage;
    const uint64_t linear = (user ? kUserWindow : kKernelWindow) + offset;
    touch(s, linear + 0x40);
    const unsigned r = s.free_gpr_but(x86::kRax);
    s.mov(reg(gpr(r)), imm(frame | attributes));
    const uint64_t first = user ? kUserTableA : kKernelTable;
    for (uint64_t root = 0; root < (user ? 2U : 1U); ++root) {
        s.mov(scratch(), imm(kKernelWindow + first + root * kPage + offset / kPage * 8));
        s.mov(mem(8, ZYDIS_REGISTER_RAX), reg(gpr(r)));
    }
    invalidate(s, linear);
    touch(s, linear + 0x40);
    return true;
}

// The page of code, the other one in its place, and that.
bool emit_code_remap(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    emit_call_through_remap(s);
    s.mov(scratch(), imm(kKernelWindow + kKernelTable + kRemapWindow / kPage * 8));
    s.emit(ZYDIS_MNEMONIC_XOR, {mem(8, ZYDIS_REGISTER_RAX), imm(kPage)});
    invalidate(s, kKernelWindow + kRemapWindow);
    return emit_call_through_remap(s);
}

// The same from user mode, by a kernel function.
bool emit_user_code_remap(Stream& s) {
    if (!s.are_free({x86::kRax, x86::kRcx, x86::kR11})) return false;
    emit_call_through_remap(s);
    s.mov(scratch(4), imm(kRemapFunction));
    s.emit(ZYDIS_MNEMONIC_SYSCALL);
    return emit_call_through_remap(s);
}

// A user page under SMAP: STAC, CLAC around the access, or not.
bool emit_user_access(Stream& s) {
    if (!s.settings.smap) return false;
    const unsigned r = s.free_gpr();
    s.mov(reg(gpr(r)), imm(kUserWindow + kData + s.random.below(8 * kPage - 8)));
    s.reserve(r);
    const bool allowed = s.in_loop() || s.random.chance(60);
    if (allowed) s.emit(ZYDIS_MNEMONIC_STAC);
    s.emit(ZYDIS_MNEMONIC_ADC, {mem(8, gpr(r)), s.source(8)});
    s.emit(ZYDIS_MNEMONIC_XOR, {s.target(4), mem(4, gpr(r), 4)});
    s.release(r);
    return !allowed || s.emit(ZYDIS_MNEMONIC_CLAC);
}

// A bit of CR0 or CR4 for a few instructions: TS makes the next vector instruction fault, and its
// handler clears it again.
bool emit_control_bit(Stream& s) {
    if (!s.is_free(x86::kRax) || !s.main) return false;
    const bool ts = s.random.chance(50);
    const Operand control = reg(ts ? ZYDIS_REGISTER_CR0 : ZYDIS_REGISTER_CR4);
    const unsigned bit = ts ? 3 : 21;
    s.mov(scratch(), control);
    s.emit(ZYDIS_MNEMONIC_BTC, {scratch(), imm(bit)});
    s.mov(control, scratch());
    emit_integer(s);
    if (ts) {
        s.emit(ZYDIS_MNEMONIC_PADDD, {reg(ZYDIS_REGISTER_XMM1), reg(ZYDIS_REGISTER_XMM2)});
        return s.emit(ZYDIS_MNEMONIC_CLTS);
    }
    s.mov(scratch(), control);
    s.emit(ZYDIS_MNEMONIC_BTC, {scratch(), imm(bit)});
    return s.mov(control, scratch());
}

// To the next instruction by IRET or a far return.
bool emit_far_transfer(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    const Label next = s.a.make_label();
    if (s.random.chance(50)) {
        s.mov(scratch(), reg(ZYDIS_REGISTER_RSP));
        s.emit(ZYDIS_MNEMONIC_PUSH, {imm(kKernelSs)});
        s.emit(ZYDIS_MNEMONIC_PUSH, {scratch()});
        s.emit(ZYDIS_MNEMONIC_PUSHFQ);
        s.emit(ZYDIS_MNEMONIC_PUSH, {imm(kKernelCs)});
        s.a.lea(ZYDIS_REGISTER_RAX, next);
        s.emit(ZYDIS_MNEMONIC_PUSH, {scratch()});
        s.emit(ZYDIS_MNEMONIC_IRETQ);
    } else {
        s.emit(ZYDIS_MNEMONIC_PUSH, {imm(kKernelCs)});
        s.a.lea(ZYDIS_REGISTER_RAX, next);
        s.emit(ZYDIS_MNEMONIC_PUSH, {scratch()});
        s.a.emit_bytes(std::vector<uint8_t>{0x48, 0xCB});  // RETF with REX.W
    }
    s.a.bind(next);
    return true;
}

bool emit_segment_load(Stream& s) {
    if (!s.is_free(x86::kRax)) return false;
    s.mov(scratch(4), imm(kKernelSs));
    s.mov(reg(s.random.pick({ZYDIS_REGISTER_DS, ZYDIS_REGISTER_ES, ZYDIS_REGISTER_SS})),
          reg(ZYDIS_REGISTER_AX));
    return emit_integer(s);
}

bool emit_swapgs(Stream& s) {
    if (!s.main) return false;  // a kernel function's GS is the kernel's already
    s.emit(ZYDIS_MNEMONIC_SWAPGS);
    s.emit(ZYDIS_MNEMONIC_INC, {mem(8, ZYDIS_REGISTER_NONE, static_cast<int64_t>(kPerCpuServices))},
           ZYDIS_ATTRIB_HAS_SEGMENT_GS);
    return s.emit(ZYDIS_MNEMONIC_SWAPGS);
}

using Emit = bool (*)(Stream&);
constexpr Emit kAnywhere[] = {
    emit_service, emit_service,      emit_checkpoint,   emit_breakpoint,  emit_undefined,
    emit_query,   emit_segment_read, emit_segment_base, emit_single_step, emit_call_through_remap,
    emit_port};
constexpr Emit kSupervisor[] = {
    emit_interrupt_shadow, emit_control_read, emit_port_interrupt, emit_port_interrupt,
    emit_root_switch,      emit_root_switch,  emit_invlpg,         emit_page_change,
    emit_page_change,      emit_code_remap,   emit_code_remap,     emit_user_access,
    emit_user_access,      emit_control_bit,  emit_far_transfer,   emit_segment_load,
    emit_swapgs,           emit_string_port,  emit_port,           emit_service};

}  // namespace

void emit_remap_function(Stream& s) {
    for (uint64_t root = 0; root < 2; ++root) {
        const uint64_t table = kUserTableA + root * kPage;
        s.mov(scratch(), imm(kKernelWindow + table + kRemapWindow / kPage * 8));
        s.emit(ZYDIS_MNEMONIC_XOR, {mem(8, ZYDIS_REGISTER_RAX), imm(kPage)});
    }
    invalidate(s, kUserWindow + kRemapWindow);
}

bool emit_system(Stream& s) {
    if (s.supervisor && s.random.chance(70))
        return kSupervisor[s.random.below(std::size(kSupervisor))](s);
    if (!s.supervisor && s.random.chance(50))
        return s.random.chance(20) ? emit_user_code_remap(s) : emit_syscall(s);
    return kAnywhere[s.random.below(std::size(kAnywhere))](s);
}

}  // namespace banyan::lockstep
