// Where a basic block goes on: other blocks of its region, links to other regions, addresses that
// are known only when it runs.
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

namespace {

bool counts_in_rcx(const Instruction& instruction) {
    return instruction.zydis.mnemonic == ZYDIS_MNEMONIC_JRCXZ ||
           instruction.zydis.mnemonic == ZYDIS_MNEMONIC_LOOP;
}

x86a::CondCode condition_of(const Instruction& instruction) {
    // The condition is in the low four bits of the opcode; asmjit has its own order.
    constexpr x86a::CondCode kCodes[16] = {
        x86a::CondCode::kO, x86a::CondCode::kNO, x86a::CondCode::kB,  x86a::CondCode::kNB,
        x86a::CondCode::kE, x86a::CondCode::kNE, x86a::CondCode::kBE, x86a::CondCode::kA,
        x86a::CondCode::kS, x86a::CondCode::kNS, x86a::CondCode::kP,  x86a::CondCode::kNP,
        x86a::CondCode::kL, x86a::CondCode::kGE, x86a::CondCode::kLE, x86a::CondCode::kG};
    return kCodes[instruction.zydis.opcode & 15U];
}

}  // namespace

bool Emitter::same_page(uint64_t rip) const {
    const interp::Block& entry = *region_.blocks.front().source;
    // An instruction that begins near the end may go on in another page.
    const bool may_cross = (rip & (kPageSize - 1)) + interp::kMaxInstruction > kPageSize;
    return entry.second_gpa == interp::Block::kNoPage && !may_cross &&
           rip >> kPageShift == entry.rip >> kPageShift;
}

uint32_t Emitter::new_link(uint64_t rip) {
    const auto number = static_cast<uint32_t>(translations_.links.size());
    const interp::Block& source = *region_.blocks.front().source;
    translations_.links.push_back(
        {.target = rip, .page = source.gpa >> kPageShift, .mode = source.mode});
    return number;
}

Emitter::Label Emitter::link_to(uint64_t rip, const Label& jump_end) {
    const uint32_t number = new_link(rip);
    const bool here = same_page(rip);
    const Label out = new_label();
    PendingLink link{number, jump_end, out, {}, {}, {}};
    if (!here) {
        link.unlinked = new_label();
        link.context_end = new_label();
        link.other_end = new_label();
        link.other = new_label();
        link.jump_end = new_label();
    }
    pending_links_.push_back(link);
    later([=, this] {
        a_.bind(out);
        if (!here) {
            a_.cmp(state(kContextAt + 4, 4), 0x7FFFFFFF);
            a_.bind(link.context_end);
            a_.long_().jne(link.unlinked);
            a_.bind(link.other_end);
            a_.long_().jmp(link.unlinked);
            a_.bind(link.jump_end);
            a_.bind(link.other);
            a_.mov(kT0, rip);
            a_.jmp(std::bit_cast<uint64_t>(stubs_.lookup));
            a_.bind(link.unlinked);
        }
        set_rip(rip);
        a_.mov(kT1.r32(), number);
        a_.jmp(std::bit_cast<uint64_t>(stubs_.exit_link));
    });
    return out;
}

// From the end of block `from`.
void Emitter::go(const BasicBlock::Successor& to, size_t from) {
    if (to.block && *to.block == from + 1) return;
    if (saves(to)) save_flags();
    jump_long(to);
}

void Emitter::jump_long(const BasicBlock::Successor& to) {
    if (to.block) {
        a_.long_().jmp(blocks_[*to.block]);
        return;
    }
    const Label jump_end = new_label();
    const Label out = link_to(to.rip, jump_end);
    a_.long_().jmp(out);
    a_.bind(jump_end);
}

void Emitter::emit_end(const BasicBlock& block, size_t index) {
    const Instruction& last = region_.of(block).back();
    finish_x87();
    if (last.kind == Kind::branch || last.kind == Kind::jump) hand_on_groups(block);
    switch (last.kind) {
        case Kind::branch: emit_branch(block, last); return go(*block.next, index);
        case Kind::call: emit_call(last, *block.next); return go(*block.next, index);
        case Kind::call_indirect: return emit_call_indirect(last);
        case Kind::jump_indirect: return emit_jump_indirect(last);
        case Kind::ret: return emit_ret(last);
        case Kind::interpret_end: return emit_interpreted(last);
        case Kind::transfer: return emit_transfer(last);
        case Kind::jump: break;
        default:
            emit_instruction(last);
            finish_x87();
            hand_on_groups(block);
            break;
    }
    bring_flags_for_successors(block);
    go(*block.next, index);
}

void Emitter::emit_branch(const BasicBlock& block, const Instruction& last) {
    bring_flags(last);
    bring_flags_for_successors(block);
    const BasicBlock::Successor& taken = *block.taken;
    if (counts_in_rcx(last)) return emit_count_branch(last, taken);
    if (taken.block) {
        a_.j(condition_of(last), blocks_[*taken.block]);
    } else if (saves(taken)) {
        const Label saving = new_label();
        a_.long_().j(condition_of(last), saving);
        later([=, this] {
            a_.bind(saving);
            store_flags();
            jump_long(taken);
        });
    } else {
        const Label jump_end = new_label();
        const Label out = link_to(taken.rip, jump_end);
        a_.long_().j(condition_of(last), out);
        a_.bind(jump_end);
    }
}

// JRCXZ and LOOP, which have only short forms. They change no flags.
void Emitter::emit_count_branch(const Instruction& last, const BasicBlock::Successor& taken) {
    const Label zero = new_label();
    const Label end = new_label();
    if (saves(taken)) save_flags();
    if (last.zydis.mnemonic == ZYDIS_MNEMONIC_LOOP) {
        a_.lea(x86a::rcx, x86a::ptr(x86a::rcx, -1));
        a_.jecxz(x86a::rcx, end);
    } else {
        a_.jecxz(x86a::rcx, zero);
        a_.short_().jmp(end);
        a_.bind(zero);
    }
    jump_long(taken);
    a_.bind(end);
}

void Emitter::emit_call(const Instruction& last, const BasicBlock::Successor& to) {
    const Label never = new_label();  // the interpreter does the whole call
    if (!window_ || saves(to)) save_flags();
    const x86a::Mem slot = stack_slot(last, -8, true, never);
    a_.mov(kT1, last.next_rip());
    a_.mov(slot, kT1);
    a_.lea(kStack, x86a::ptr(kStack, -8));
    join(last, never);
}

// The target of an indirect jump or call to T0.
void Emitter::load_target(const Instruction& instruction, const Label& done) {
    if (instruction.memory < 0) {
        const unsigned number = instruction.op->destination / 8U;
        const x86a::Gp from = read_gpr(number, kT0);
        if (from != kT0) a_.mov(kT0, from);
        return;
    }
    if (in_window(instruction)) {
        a_.mov(kT0, x86a::ptr(kStack, static_cast<int32_t>(instruction.op->displacement), 8));
        return;
    }
    checked_address(instruction, done);  // flags are saved
    a_.mov(kT0, x86a::ptr(kT0, 0, 8));
}

void Emitter::jump_to_target(const Instruction& instruction, std::function<void()> commit) {
    const Label miss = new_label();
    find_jump(a_);
    a_.jne(miss);
    if (commit) commit();
    a_.jmp(jump_member(offsetof(interp::Jump, host)));
    const uint32_t site = add_site(instruction);
    later([=, this] {
        const Label unknown = new_label();
        a_.bind(miss);
        a_.call(std::bit_cast<uint64_t>(stubs_.find_second));
        a_.jne(unknown);
        if (commit) commit();
        a_.jmp(jump_member(offsetof(interp::Jump, host)));
        a_.bind(unknown);
        a_.mov(kT1.r32(), site);
        a_.call(std::bit_cast<uint64_t>(stubs_.run_op));  // does not come back
    });
}

void Emitter::emit_jump_indirect(const Instruction& last) {
    const Label never = new_label();
    save_flags();
    load_target(last, never);
    jump_to_target(last, nullptr);
    join(last, never);
}

void Emitter::emit_call_indirect(const Instruction& last) {
    if (!window_) return emit_interpreted(last);
    const Label never = new_label();
    save_flags();
    load_target(last, never);
    jump_to_target(last, [this, &last] {
        a_.mov(kT0, last.next_rip());
        a_.mov(x86a::ptr(kStack, -8, 8), kT0);
        a_.lea(kStack, x86a::ptr(kStack, -8));
    });
    join(last, never);
}

void Emitter::emit_ret(const Instruction& last) {
    const Label never = new_label();
    const auto pops = static_cast<int32_t>(8 + (last.op->immediate & 0xFFFF));
    save_flags();
    a_.mov(kT0, stack_slot(last, 0, false, never));
    jump_to_target(last, [this, pops] { a_.lea(kStack, x86a::ptr(kStack, pops)); });
    join(last, never);
}

}  // namespace banyan::jit
