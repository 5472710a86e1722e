// Instructions of the entries and exits of a kernel. What they check is what their handlers in
// interp/ check, where the manuals are cited; whatever does not go through is interpreted.
#include "cpu/interp/system.hpp"
#include "cpu/interp/zydis_registers.hpp"
#include "cpu/jit/emitter.hpp"
#include "cpu/jit/stubs_system.hpp"

namespace banyan::jit {

namespace {

int32_t segment_at(x86::Segment segment) {
    return kSegmentsAt + static_cast<int32_t>(segment * sizeof(x86::SegmentRegister));
}
int32_t base_at(x86::Segment segment) {
    return segment_at(segment) + static_cast<int32_t>(offsetof(x86::SegmentRegister, base));
}

}  // namespace

void Emitter::emit_system(const Instruction& instruction) {
    switch (instruction.zydis.mnemonic) {
        case ZYDIS_MNEMONIC_CLI:
        case ZYDIS_MNEMONIC_STI: return emit_set_interrupts(instruction);
        case ZYDIS_MNEMONIC_CLD:
        case ZYDIS_MNEMONIC_STD: return emit_set_direction(instruction);
        case ZYDIS_MNEMONIC_SWAPGS: return emit_swapgs(instruction);
        case ZYDIS_MNEMONIC_MOV: return emit_read_register(instruction);
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDTSCP: return emit_read_tsc(instruction);
        case ZYDIS_MNEMONIC_LEAVE: return emit_leave(instruction);
        case ZYDIS_MNEMONIC_POP: return emit_pop_rsp(instruction);
        default: return emit_segment_base(instruction);
    }
}

void Emitter::check_cpl0(const Label& slow) {
    a_.cmp(state(kCplAt, 1), 0);
    a_.jne(slow);
}

// The instruction behind STI is in its block, and behind that the region is left: nothing looks at
// events in between.
void Emitter::emit_set_interrupts(const Instruction& instruction) {
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    check_cpl0(slow);
    if (instruction.zydis.mnemonic == ZYDIS_MNEMONIC_STI) {
        a_.cmp(state(kInterruptParkedAt, 1), 0);
        a_.jne(slow);
        a_.or_(state(kSystemFlagsAt, 4), x86::kIf);
    } else {
        a_.and_(state(kSystemFlagsAt, 4), ~uint32_t{x86::kIf});
    }
    slow_way(instruction, slow, done);
    join(instruction, done);
}

void Emitter::emit_set_direction(const Instruction& instruction) {
    keep_flags(instruction);
    if (instruction.zydis.mnemonic == ZYDIS_MNEMONIC_STD) {
        a_.or_(state(kSystemFlagsAt, 4), x86::kDf);
    } else {
        a_.and_(state(kSystemFlagsAt, 4), ~uint32_t{x86::kDf});
    }
}

void Emitter::emit_swapgs(const Instruction& instruction) {
    constexpr int32_t kKernelBase = msr_at(offsetof(x86::MsrState, kernel_gs_base));
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    check_cpl0(slow);
    a_.mov(kT0, state(kKernelBase));
    a_.mov(kT1, state(base_at(x86::kGs)));
    a_.mov(state(kKernelBase), kT1);
    a_.mov(state(base_at(x86::kGs)), kT0);
    a_.mov(state(kBaseAt + x86::kGs * 8), kT0);
    slow_way(instruction, slow, done);
    join(instruction, done);
}

// RDFSBASE and the like.
void Emitter::emit_segment_base(const Instruction& instruction) {
    const ZydisMnemonic mnemonic = instruction.zydis.mnemonic;
    const bool fs = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_WRFSBASE;
    const bool reads = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_RDGSBASE;
    const x86::Segment segment = fs ? x86::kFs : x86::kGs;
    const bool wide = instruction.operands[0].size == 64;
    const unsigned number = instruction.op->destination / 8U;
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    a_.test(state(kCr4At, 4), static_cast<uint32_t>(x86::kCr4FsGsBase));
    a_.jz(slow);
    if (reads) {
        a_.mov(kT0, state(base_at(segment)));
        if (!wide) a_.mov(kT0.r32(), kT0.r32());
        write_gpr(number, kT0);
    } else {
        const x86a::Gp from = read_gpr(number, kT1);
        if (wide) {
            jump_unless_canonical(a_, from, kT0, slow);
            a_.mov(kT0, from);
        } else {
            a_.mov(kT0.r32(), from.r32());
        }
        a_.mov(state(base_at(segment)), kT0);
        a_.mov(state(kBaseAt + segment * 8), kT0);
    }
    slow_way(instruction, slow, done);
    join(instruction, done);
}

void Emitter::emit_read_register(const Instruction& instruction) {
    const unsigned to = instruction.op->destination / 8U;
    const ZydisRegister from = instruction.operands[1].reg.value;
    if (ZydisRegisterGetClass(from) == ZYDIS_REGCLASS_SEGMENT) {
        a_.movzx(kT0.r32(), state(segment_at(interp::segment_of(from)), 2));
        if (instruction.operands[0].size >= 32) {
            write_gpr(to, kT0);
        } else if (in_register(to)) {
            a_.mov(host_gpr(to).r16(), kT0.r16());
        } else {
            a_.mov(state(kGprAt + static_cast<int32_t>(to) * 8, 2), kT0.r16());
        }
        return;
    }
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    check_cpl0(slow);
    switch (from) {
        case ZYDIS_REGISTER_CR0: a_.mov(kT0, state(kCr0At)); break;
        case ZYDIS_REGISTER_CR2: a_.mov(kT0, state(kCr2At)); break;
        case ZYDIS_REGISTER_CR3: a_.mov(kT0, state(kCr3At)); break;
        default: a_.mov(kT0, state(kCr4At)); break;
    }
    write_gpr(to, kT0);
    slow_way(instruction, slow, done);
    join(instruction, done);
}

// By the host's counter, where the guest's runs at its pace. RDTSCP waits for what is before it.
void Emitter::emit_read_tsc(const Instruction& instruction) {
    static_assert(in_register(x86::kRax) && in_register(x86::kRdx) && in_register(x86::kRcx));
    const bool with_aux = instruction.zydis.mnemonic == ZYDIS_MNEMONIC_RDTSCP;
    if (with_aux && !stubs_.system.rdtscp) return emit_interpreted(instruction);
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    a_.cmp(state(kHasTscOffsetAt, 1), 0);
    a_.je(slow);
    a_.test(state(kCr4At, 1), static_cast<uint32_t>(x86::kCr4Tsd));
    a_.jnz(slow);
    if (with_aux) a_.lfence();
    a_.rdtsc();
    a_.shl(x86a::rdx, 32);
    a_.or_(x86a::rax, x86a::rdx);
    a_.add(x86a::rax, state(kTscOffsetAt));
    a_.add(x86a::rax, state(msr_at(offsetof(x86::MsrState, tsc_offset))));
    a_.mov(x86a::rdx, x86a::rax);
    a_.shr(x86a::rdx, 32);
    a_.mov(x86a::eax, x86a::eax);
    if (with_aux) a_.mov(x86a::ecx, state(msr_at(offsetof(x86::MsrState, tsc_aux)), 4));
    slow_way(instruction, slow, done);
    join(instruction, done);
}

// What RSP becomes is on no page that is known: the stack window is of no use.
void Emitter::emit_leave(const Instruction& instruction) {
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    const x86a::Gp frame = read_gpr(x86::kRbp, kT0);
    if (frame != kT0) a_.mov(kT0, frame);
    check(8, false, false, slow);
    a_.mov(kT1, x86a::ptr(kT0, 0, 8));
    a_.lea(kT0, x86a::ptr(read_gpr(x86::kRbp, kT0), 8));
    write_gpr(kGuestRsp, kT0);
    write_gpr(x86::kRbp, kT1);
    slow_way(instruction, slow, done);
    join(instruction, done);
}

void Emitter::emit_pop_rsp(const Instruction& instruction) {
    const Label slow = new_label();
    const Label done = new_label();
    keep_flags(instruction);
    linear_rsp(kT0, 0);
    check(8, false, false, slow);
    a_.mov(kT0, x86a::ptr(kT0, 0, 8));
    write_gpr(kGuestRsp, kT0);
    slow_way(instruction, slow, done);
    join(instruction, done);
}

// RF and VM, which are pushed as 0, are 0: no code is translated with them.
void Emitter::emit_pushf(const Instruction& instruction) {
    if (!window_) return emit_interpreted(instruction);
    save_flags();
    host_flags_ = false;
    load_rflags(a_, kT0, kT1);
    a_.mov(x86a::ptr(kStack, -8, 8), kT0);
    a_.lea(kStack, x86a::ptr(kStack, -8));
}

// Gives the stub what SYSCALL saves, and where to go when it does not do this.
void Emitter::emit_transfer(const Instruction& last) {
    const bool user = block_->source->mode.has(interp::Mode::kUser);
    const uint8_t* stub = stubs_.system.transfer_for(last.zydis.mnemonic, user);
    if (stub == nullptr) return emit_interpreted(last);
    const Label slow = new_label();
    save_flags();
    a_.mov(kT0, last.next_rip());
    a_.lea(kT1, x86a::ptr(slow));
    a_.jmp(std::bit_cast<uint64_t>(stub));
    const uint32_t site = add_site(last);
    later([=, this] {
        a_.bind(slow);
        a_.mov(kT1.r32(), site);
        a_.call(std::bit_cast<uint64_t>(stubs_.run_op));  // does not come back
    });
}

}  // namespace banyan::jit
