// Memory: addresses, and the software TLB's fast way.
#include <cstddef>

#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

x86a::Gp Emitter::read_gpr(unsigned number, const x86a::Gp& temporary) {
    if (in_register(number)) return host_gpr(number);
    if (number == kGuestRsp) {
        linear_rsp(temporary, 0);
    } else {
        a_.mov(temporary, guest_gpr(number));
    }
    return temporary;
}

void Emitter::write_gpr(unsigned number, const x86a::Gp& from) {
    if (in_register(number)) {
        a_.mov(host_gpr(number), from);
    } else if (number == kGuestRsp) {
        a_.mov(kStack, state(kStackAddendAt));
        a_.lea(kStack, x86a::ptr(kStack, from));
    } else {
        a_.mov(guest_gpr(number), from);
    }
}

void Emitter::load_offset(const Instruction& instruction) {
    const interp::Op& op = *instruction.op;
    const bool has_base = op.base != interp::kZeroRegister;
    const bool has_index = op.index != interp::kZeroRegister;
    if (!has_base && !has_index) {
        a_.mov(kT0, op.displacement);
    } else {
        const auto displacement = static_cast<int32_t>(op.displacement);
        if (!has_base) a_.mov(kT0, op.displacement);
        const x86a::Gp base = has_base ? read_gpr(op.base, kT0) : kT0;
        const int32_t rest = has_base ? displacement : 0;
        if (has_index) {
            const x86a::Gp index = read_gpr(op.index, kT1);
            a_.lea(kT0, x86a::ptr(base, index, op.scale, rest));
        } else if (!(base == kT0 && rest == 0)) {
            a_.lea(kT0, x86a::ptr(base, rest));
        }
    }
    if (op.has(interp::Op::kAddress32)) a_.mov(kT0.r32(), kT0.r32());
}

void Emitter::load_address(const Instruction& instruction) {
    load_offset(instruction);
    const interp::Op& op = *instruction.op;
    if (op.segment == x86::kFs || op.segment == x86::kGs)
        a_.add(kT0, state(kBaseAt + op.segment * 8));
}

// One unsigned comparison covers a page that is not there and an access that leaves it.
void Emitter::check(unsigned size, bool write, bool aligned, const Label& slow) {
    using Layout = interp::Tlb::Layout;
    find_tlb_index(a_, stubs_.fast_pext);
    a_.sub(kT0, tlb_member(view_, write ? Layout::write_tags : Layout::read_tags));
    a_.cmp(kT0, static_cast<int32_t>(kPageSize - size));
    a_.ja(slow);
    a_.add(kT0, tlb_member(view_, Layout::pages));
    if (!aligned) return;
    a_.test(kT0.r8(), size - 1);
    a_.jnz(slow);
}

void Emitter::slow_way(const Instruction& instruction, const Label& slow, const Label& done) {
    const uint32_t site = add_site(instruction);
    const bool load = instruction.flags_live_out != 0;
    const Instruction* x87 = x87_last_;
    later([=, this] {
        a_.bind(slow);
        note_x87(x87);
        a_.mov(kT1.r32(), site);
        a_.call(std::bit_cast<uint64_t>(stubs_.run_op));
        if (load) load_flags();
        a_.jmp(done);
    });
}

void Emitter::checked_address(const Instruction& instruction, const Label& done) {
    const Label slow = new_label();
    load_address(instruction);
    check(instruction.memory_size, instruction.writes_memory, instruction.aligned, slow);
    slow_way(instruction, slow, done);
}

HostAddress Emitter::memory_operand(const Instruction& instruction, const Label& done) {
    if (in_window(instruction)) {
        return {static_cast<uint8_t>(kStack.id()),
                static_cast<int32_t>(instruction.op->displacement)};
    }
    keep_flags(instruction);
    checked_address(instruction, done);
    bring_flags(instruction);
    return {static_cast<uint8_t>(kT0.id()), 0};
}

}  // namespace banyan::jit
