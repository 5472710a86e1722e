// Emitter: host code for one region.
//
// The guest's arithmetic flags are in the host's between instructions, wherever they matter; in
// cpu.arith at the borders of regions and whenever the interpreter is called. T0 and T1 are free
// between instructions.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cpu/jit/code_buffer.hpp"
#include "cpu/jit/host_encoder.hpp"
#include "cpu/jit/layout.hpp"
#include "cpu/jit/region.hpp"
#include "cpu/jit/stubs.hpp"
#include "cpu/jit/translation.hpp"

namespace banyan::jit {

class Emitter {
public:
    // `window`: stack accesses go through the stack window. `view`: how code of this mode accesses
    // memory.
    Emitter(const Region& region, const Stubs& stubs, Translations& translations, interp::View view,
            bool window, const uint8_t* place);

    // Appends the code. Null: `memory` is full.
    const uint8_t* finish(interp::CodeMemory& memory);
    size_t size() const { return buffer_.size(); }

private:
    using Label = asmjit::Label;

    // --- emitter.cpp
    void emit_entry();
    void emit_block(size_t index);
    void emit_instruction(const Instruction& instruction);
    void emit_native(const Instruction& instruction);
    bool emit_on_slot(const Instruction& instruction, unsigned gpr);
    void emit_lea(const Instruction& instruction);
    void emit_divide(const Instruction& instruction);
    void check_divisor(const Instruction& instruction, const asmjit::Operand& divisor,
                       const Label& slow);
    void emit_interpreted(const Instruction& instruction);
    void poll(const BasicBlock& block);
    void count_instructions(const BasicBlock& block);
    void set_rip(uint64_t rip);
    Label new_label() { return a_.newLabel(); }
    // Written after everything else.
    void later(std::function<void()> write) { cold_.push_back(std::move(write)); }
    uint32_t add_site(const Instruction& instruction);

    // --- emitter_flags.cpp
    void save_flags();
    void store_flags();
    void load_flags();
    // Before host code that changes flags in the midst of an instruction.
    void keep_flags(const Instruction& instruction);
    // Before an instruction itself, or the end of a block: into the host's flags, if they are
    // wanted there. Uses T1.
    void bring_flags(const Instruction& instruction);
    void bring_flags_for_successors(const BasicBlock& block);
    void note_changed_flags(const Instruction& instruction);

    // --- emitter_memory.cpp
    // The offset in the operand's segment, for this displacement, to T0; changes no flags.
    void load_offset(const Instruction& instruction, int64_t displacement);
    // The linear address to T0; changes flags only where the segment has a base.
    void load_address(const Instruction& instruction, int64_t displacement);
    // From the linear address in T0 to the host's, or to `slow`. Uses T1.
    void check(unsigned size, bool write, bool aligned, const Label& slow);
    // The memory operand: where it is on the host, once memory_operand() has seen to that. The slow
    // way interprets the instruction and goes on at `done`; that of a group interprets the rest of
    // the block.
    HostAddress place_of(const Instruction& instruction) const;
    HostAddress memory_operand(const Instruction& instruction, const Label& done);
    void group_address(const Instruction& instruction);
    size_t slot_of(const AccessGroup& group) const;
    x86a::Mem group_slot(const AccessGroup& group) const;
    void check_alignment(const AccessGroup& group, const Label& slow);
    // Before T0 gets another value: what it holds of a group is kept in the state.
    void release_t0();
    void forget_groups();
    // Which groups have been checked on every way to this block; before its end, what the blocks
    // behind it want.
    void inherit_groups(const BasicBlock& block);
    void hand_on_groups(const BasicBlock& block);
    // The host's address for this displacement of the operand to T0, or to `slow`.
    void locate(const Instruction& instruction, int64_t displacement, unsigned size, bool write,
                bool aligned, const Label& slow);
    void locate_constant(uint64_t address, bool write, const Label& slow);
    // The same for an operand that is not in the window, to T0; changes flags.
    void checked_address(const Instruction& instruction, const Label& done);
    void slow_way(const Instruction& instruction, const Label& slow, const Label& done);
    void interpret_rest(const Instruction& instruction, const Label& slow);
    // Where the slow ways of an instruction come back.
    void join(const Instruction& instruction, const Label& done);
    // The register itself, or `temporary` with its value.
    x86a::Gp read_gpr(unsigned number, const x86a::Gp& temporary);
    void write_gpr(unsigned number, const x86a::Gp& from);

    // --- emitter_stack.cpp
    void check_window(int32_t low, int32_t high, uint64_t rip);
    void emit_push(const Instruction& instruction);
    void emit_pop(const Instruction& instruction);
    void emit_move_stack(const Instruction& instruction);
    void make_stack_flags(const Instruction& instruction);
    void linear_rsp(const x86a::Gp& to, int32_t displacement);
    // The 8 bytes at RSP + displacement: in the window, or checked (which changes flags) at T0.
    x86a::Mem stack_slot(const Instruction& instruction, int32_t displacement, bool write,
                         const Label& done);
    void push_value(const Instruction& instruction, const asmjit::Operand& value,
                    const Label& done);
    bool in_window(const Instruction& instruction) const {
        return window_ && instruction.on_stack();
    }

    // --- emitter_x87.cpp
    void enter_x87(uint64_t rip);
    void emit_x87(const Instruction& instruction);
    void emit_fldcw(const Instruction& instruction);
    void note_x87_data(const Instruction& instruction);
    void note_x87(const Instruction* last);
    // Before the interpreter is called, and at the end of a block.
    void finish_x87();

    // --- emitter_system.cpp
    void emit_system(const Instruction& instruction);
    // Unless this goes through, an instruction that only code of CPL 0 may run goes the slow way.
    void check_cpl0(const Label& slow);
    void emit_set_interrupts(const Instruction& instruction);
    void emit_set_direction(const Instruction& instruction);
    void emit_swapgs(const Instruction& instruction);
    void emit_segment_base(const Instruction& instruction);
    void emit_read_register(const Instruction& instruction);
    void emit_read_tsc(const Instruction& instruction);
    void emit_leave(const Instruction& instruction);
    void emit_pop_rsp(const Instruction& instruction);
    void emit_pushf(const Instruction& instruction);
    void emit_transfer(const Instruction& last);

    // --- emitter_string.cpp
    void emit_string(const Instruction& instruction);
    // Where the elements at the guest's RSI or RDI are on the host, to T0; `scale`: of RCX.
    void run_in_page(x86::Gpr index, unsigned scale, bool write, const Label& slow);
    void emit_bit_string(const Instruction& instruction);

    // --- emitter_control.cpp
    void emit_end(const BasicBlock& block, size_t index);
    void emit_branch(const BasicBlock& block, const Instruction& last);
    void emit_call(const Instruction& last, const BasicBlock::Successor& to);
    void emit_call_indirect(const Instruction& last);
    void emit_jump_indirect(const Instruction& last);
    void emit_ret(const Instruction& last);
    void load_target(const Instruction& instruction, const Label& done);
    // Jumps to the address in T0. `commit` writes what the instruction does besides, with T0 free,
    // when it is certain that it can.
    void jump_to_target(const Instruction& instruction, std::function<void()> commit);
    void emit_count_branch(const Instruction& last, const BasicBlock::Successor& taken);
    void go(const BasicBlock::Successor& to, size_t from);
    void jump_long(const BasicBlock::Successor& to);
    uint32_t new_link(uint64_t rip);
    // A label that leads out of the region to `rip`; `jump_end`: bound after the jump to be
    // patched.
    Label link_to(uint64_t rip, const Label& jump_end);
    // Must flags be saved on this way?
    bool saves(const BasicBlock::Successor& to) const {
        return flags_dirty_ && !to.block && to.flags != 0;
    }
    bool same_page(uint64_t rip) const;

    const Region& region_;
    const Stubs& stubs_;
    Translations& translations_;
    interp::View view_;
    bool use_window_;
    bool window_ = false;  // in the block that is being emitted
    CodeBuffer buffer_;
    x86a::Assembler& a_;
    std::vector<Label> blocks_;
    std::vector<std::function<void()>> cold_;
    const BasicBlock* block_ = nullptr;  // being emitted
    bool flags_dirty_ = false;           // cpu.arith is not what the host's flags are
    bool host_flags_ = true;             // the host's are the guest's; else cpu.arith is
    // Slow ways: must they load the flags before they come back? And those of this instruction.
    std::vector<bool> slow_loads_;
    std::vector<size_t> slow_open_;
    // The groups whose host addresses are in JitCpu::group_addresses now.
    using KeptGroups = std::array<const AccessGroup*, JitCpu::kGroupAddresses>;
    KeptGroups groups_{};
    std::vector<KeptGroups> groups_at_end_;  // of each block
    const AccessGroup* in_t0_ = nullptr;     // the group that T0 is the beginning of
    const Instruction* x87_last_ = nullptr;  // ran in this block, and is not noted yet
    struct PendingLink {
        uint32_t number;
        Label jump_end, unlinked, context_end, other_end, other;
    };
    std::vector<PendingLink> pending_links_;
};

}  // namespace banyan::jit
