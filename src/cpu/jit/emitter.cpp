#include "cpu/jit/emitter.hpp"

#include <algorithm>

#include "cpu/interp/zydis_registers.hpp"

namespace banyan::jit {

Emitter::Emitter(const Region& region, const Stubs& stubs, Translations& translations,
                 interp::View view, bool window, const uint8_t* place)
    : region_(region),
      stubs_(stubs),
      translations_(translations),
      view_(view),
      use_window_(window),
      buffer_(place),
      a_(buffer_.assembler()) {
    for (size_t i = 0; i < region.blocks.size(); ++i)
        blocks_.push_back(new_label());
    emit_entry();
    for (size_t i = 0; i < region.blocks.size(); ++i)
        emit_block(i);
    // What is written later may have something for later.
    while (!cold_.empty()) {
        const auto cold = std::move(cold_);
        cold_.clear();
        for (const auto& write : cold)
            write();
    }
}

const uint8_t* Emitter::finish(interp::CodeMemory& memory) {
    const uint8_t* code = buffer_.finish(memory);
    if (code == nullptr) return nullptr;
    const auto at = [&](const Label& label) { return code + buffer_.offset_of(label); };
    for (const PendingLink& pending : pending_links_) {
        Link& link = translations_.links[pending.number];
        link.jump = at(pending.jump_end) - 4;
        link.unlinked = at(pending.unlinked);
        if (!pending.other.isValid()) continue;
        link.context = at(pending.context_end) - 4;
        link.other_jump = at(pending.other_end) - 4;
        link.other = at(pending.other);
    }
    return code;
}

void Emitter::set_rip(uint64_t rip) {
    a_.mov(kT0, rip);
    a_.mov(state(kRipAt), kT0);
}

// The way in from other regions: what only they must check, then the first block.
void Emitter::emit_entry() {
    const uint64_t rip = region_.blocks.front().rip();
    if (region_.checks_stack) check_window(region_.stack_low, region_.stack_high, rip);
    if (region_.uses_vectors) {
        const Label load = new_label();
        const Label loaded = new_label();
        a_.cmp(state(kVectorsLiveAt, 4), region_.uses_avx512 ? JitCpu::kAllVectors : JitCpu::kYmm);
        a_.jb(load);
        a_.bind(loaded);
        later([=, this] {
            a_.bind(load);
            set_rip(rip);
            a_.call(std::bit_cast<uint64_t>(region_.uses_avx512 ? stubs_.load_all_vectors
                                                                : stubs_.load_vectors));
            a_.jmp(loaded);
        });
    }
    if (region_.uses_x87) enter_x87(rip);
    if (region_.blocks.front().flags_live_in != 0) load_flags();
}

void Emitter::emit_block(size_t index) {
    const BasicBlock& block = region_.blocks[index];
    block_ = &block;
    window_ = use_window_ && block.in_window;
    flags_dirty_ = block.flags_dirty_in;
    host_flags_ = true;
    inherit_groups(block);
    a_.bind(blocks_[index]);
    const bool checks = index == 0 || block.loop_head || block.checks_stack;
    const bool live = block.flags_live_in != 0;
    if (checks && live) save_flags();
    if (index == 0 || block.loop_head) poll(block);
    if (block.checks_stack) check_window(block.stack_low, block.stack_high, block.rip());
    count_instructions(block);
    if (checks && live) load_flags();
    for (const Instruction& instruction : region_.of(block).first(block.count - 1))
        emit_instruction(instruction);
    emit_end(block, index);
    groups_at_end_.push_back(groups_);
}

// Has anything come up that the loop must see to?
void Emitter::poll(const BasicBlock& block) {
    const Label event = new_label();
    const uint64_t rip = block.rip();
    a_.cmp(state(kEventsAt, 4), 0);
    a_.jne(event);
    later([=, this] {
        a_.bind(event);
        set_rip(rip);
        a_.jmp(std::bit_cast<uint64_t>(stubs_.exit_dispatch));
    });
}

void Emitter::count_instructions(const BasicBlock& block) {
    if (block.flags_live_in == 0) {
        a_.add(state(kRetiredAt), static_cast<int32_t>(block.count));
        return;
    }
    a_.mov(kT1, state(kRetiredAt));
    a_.lea(kT1, x86a::ptr(kT1, static_cast<int32_t>(block.count)));
    a_.mov(state(kRetiredAt), kT1);
}

void Emitter::emit_instruction(const Instruction& instruction) {
    const bool leaves_t0 = instruction.kind == Kind::native || instruction.kind == Kind::nop;
    if (!leaves_t0) release_t0();
    switch (instruction.kind) {
        case Kind::nop: return;
        case Kind::native: return emit_native(instruction);
        case Kind::x87: return emit_x87(instruction);
        case Kind::lea: return emit_lea(instruction);
        case Kind::divide: return emit_divide(instruction);
        case Kind::system: return emit_system(instruction);
        case Kind::pushf: return emit_pushf(instruction);
        case Kind::string: return emit_string(instruction);
        case Kind::bit_string: return emit_bit_string(instruction);
        case Kind::push: return emit_push(instruction);
        case Kind::pop: return emit_pop(instruction);
        case Kind::move_stack: return emit_move_stack(instruction);
        default: return emit_interpreted(instruction);
    }
}

uint32_t Emitter::add_site(const Instruction& instruction) {
    const auto number = static_cast<uint32_t>(translations_.sites.size());
    Site& site = translations_.sites.emplace_back();
    site.ops[0] = *instruction.op;
    site.block = block_->source;
    site.entry = region_.blocks.front().source;
    site.uses_x87 = region_.uses_x87;
    const auto index = static_cast<size_t>(&instruction - &region_.instructions[block_->first]);
    site.index = static_cast<uint32_t>(index);
    site.unfinished = static_cast<uint32_t>(block_->count - index);
    return number;
}

void Emitter::emit_interpreted(const Instruction& instruction) {
    keep_flags(instruction);
    finish_x87();
    a_.mov(kT1.r32(), add_site(instruction));
    a_.call(std::bit_cast<uint64_t>(stubs_.run_op));
    flags_dirty_ = host_flags_ = false;
    forget_groups();
}

namespace {

// Which registers of an instruction need stand-ins, and how they are used.
struct StandIns {
    struct Use {
        unsigned gpr;
        bool read;
        bool write;
    };
    std::array<Use, 4> uses{};
    unsigned count = 0;

    explicit StandIns(const Instruction& instruction) {
        for (unsigned i = 0; i < instruction.zydis.operand_count_visible; ++i)
            note(instruction, instruction.operands[i]);
    }

private:
    void note(const Instruction& instruction, const ZydisDecodedOperand& operand) {
        if (!interp::is_gpr(operand)) return;
        const uint8_t offset = interp::gpr_offset(operand.reg.value);
        const unsigned gpr = offset / 8U;
        if (in_register(gpr)) return;
        const ZydisMnemonic mnemonic = instruction.zydis.mnemonic;
        // Narrow results leave the rest of the register, BSF and BSR of 0 all of it.
        const bool keeps =
            operand.size < 32 || mnemonic == ZYDIS_MNEMONIC_BSF || mnemonic == ZYDIS_MNEMONIC_BSR;
        constexpr auto kReads = ZYDIS_OPERAND_ACTION_MASK_READ | ZYDIS_OPERAND_ACTION_CONDWRITE;
        const bool read = keeps || (operand.actions & kReads) != 0;
        const bool write = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
        for (unsigned i = 0; i < count; ++i) {
            if (uses[i].gpr != gpr) continue;
            uses[i].read |= read;
            uses[i].write |= write;
            return;
        }
        uses[count++] = {gpr, read, write};
    }
};

}  // namespace

// A guest register that is kept in memory can often be the operand as it is.
bool Emitter::emit_on_slot(const Instruction& instruction, unsigned gpr) {
    if (gpr == kGuestRsp || !takes_register_in_memory(instruction, gpr)) return false;
    constexpr std::array<uint8_t, 16> kSame = {0, 1, 2,  3,  4,  5,  6,  7,
                                               8, 9, 10, 11, 12, 13, 14, 15};
    const HostAddress slot{static_cast<uint8_t>(x86a::rsp.id()),
                           kGprAt + static_cast<int32_t>(gpr) * 8};
    const HostEncoder encoder(instruction, kSame, slot, gpr);
    if (encoder.code().empty()) return false;
    bring_flags(instruction);
    a_.embed(encoder.code().data(), encoder.code().size());
    note_changed_flags(instruction);
    return true;
}

void Emitter::emit_native(const Instruction& instruction) {
    const StandIns stand_ins(instruction);
    if (stand_ins.count == 1 && emit_on_slot(instruction, stand_ins.uses[0].gpr)) return;
    const bool memory = instruction.memory >= 0;
    const bool takes_t0 = memory && !in_window(instruction);
    if (stand_ins.count > (takes_t0 ? 1U : 2U)) return emit_interpreted(instruction);
    const std::array<x86a::Gp, 2> temporaries = {kT1, kT0};
    std::array<uint8_t, 16> host_of{};
    for (unsigned i = 0; i < 16; ++i)
        host_of[i] = static_cast<uint8_t>(i);
    for (unsigned i = 0; i < stand_ins.count; ++i)
        host_of[stand_ins.uses[i].gpr] = static_cast<uint8_t>(temporaries[i].id());
    const HostEncoder encoder(instruction, host_of, place_of(instruction));
    if (encoder.code().empty()) return emit_interpreted(instruction);

    const Label done = new_label();
    const bool t0_stands_in = stand_ins.count == 2;
    if (t0_stands_in || (takes_t0 && instruction.group < 0)) release_t0();
    if (memory) (void)memory_operand(instruction, done);
    bring_flags(instruction);
    for (unsigned i = 0; i < stand_ins.count; ++i) {
        const StandIns::Use& use = stand_ins.uses[i];
        if (use.read) (void)read_gpr(use.gpr, temporaries[i]);
    }
    a_.embed(encoder.code().data(), encoder.code().size());
    note_changed_flags(instruction);
    for (unsigned i = 0; i < stand_ins.count; ++i) {
        const StandIns::Use& use = stand_ins.uses[i];
        if (use.write) write_gpr(use.gpr, temporaries[i]);
    }
    join(instruction, done);
}

void Emitter::emit_lea(const Instruction& instruction) {
    load_offset(instruction, instruction.op->displacement);
    if (instruction.zydis.operand_width == 32) a_.mov(kT0.r32(), kT0.r32());
    write_gpr(instruction.op->destination / 8U, kT0);
}

}  // namespace banyan::jit
