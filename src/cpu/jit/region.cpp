#include "cpu/jit/region.hpp"

#include <algorithm>

namespace banyan::jit {

using interp::Block;

namespace {

// The window is a page: a larger range would seldom fit.
constexpr int32_t kMaxStackSpan = 1024;
// What is farther from RSP than this does not use the window: checks add 32-bit displacements.
constexpr int64_t kFar = 1 << 28;

bool ends_block(Kind kind) {
    switch (kind) {
        case Kind::jump:
        case Kind::branch:
        case Kind::call:
        case Kind::jump_indirect:
        case Kind::call_indirect:
        case Kind::ret:
        case Kind::transfer:
        case Kind::interpret_end: return true;
        default: return false;
    }
}

uint64_t page_of(uint64_t address) {
    return address >> kPageShift;
}

}  // namespace

void RegionBuilder::build(Block& entry, bool stack_window, Region& region) {
    region_ = &region;
    entry_ = &entry;
    region.instructions.clear();
    region.blocks.clear();
    region.groups.clear();
    region.uses_vectors = region.uses_avx512 = false;
    region.uses_x87 = region.checks_stack = false;
    add_block(entry);
    // Blocks are appended while this goes on; a block that continues the last one comes first.
    for (size_t i = 0; i < region.blocks.size(); ++i) {
        BasicBlock block = region.blocks[i];
        find_successors(block);
        region_->blocks[i] = block;
    }
    find_loops();
    find_dirty_flags();
    find_live_flags();
    find_predecessors();
    if (stack_window) {
        for (BasicBlock& block : region.blocks)
            measure_stack(block);
        place_stack_checks();
    }
    group_accesses(region);
}

void RegionBuilder::add_block(Block& source) {
    BasicBlock block;
    block.source = &source;
    block.first = region_->instructions.size();
    const auto bytes = cpu_.memory.readable_range(Gpa{source.gpa}, source.length);
    const bool crosses = source.second_gpa != Block::kNoPage;
    for (unsigned i = 0; i < source.count; ++i) {
        const interp::Op& op = source.ops[i];
        Instruction& instruction = region_->instructions.emplace_back();
        uint8_t copy[16] = {};
        if (!crosses) {
            std::memcpy(copy, bytes.data() + op.offset, op.length);
        } else {
            read_crossing(source, copy);
        }
        analyse(op, source.rip + op.offset, copy, undefined_, instruction);
        region_->uses_vectors |= instruction.uses_vectors;
        region_->uses_avx512 |= instruction.uses_avx512;
        region_->uses_x87 |= instruction.uses_x87();
        if (ends_block(instruction.kind) || instruction.changes_rsp) break;
    }
    block.count = region_->instructions.size() - block.first;
    region_->blocks.push_back(block);
}

// One instruction on two pages.
void RegionBuilder::read_crossing(const Block& source, uint8_t* to) const {
    const uint64_t room = kPageSize - (source.gpa & (kPageSize - 1));
    const auto first = std::min<uint64_t>(room, source.length);
    const auto all = std::as_writable_bytes(std::span(to, 16));
    if (!cpu_.memory.read(Gpa{source.gpa}, all.first(first))) return;
    if (first == source.length) return;
    (void)cpu_.memory.read(Gpa{source.second_gpa}, all.subspan(first, source.length - first));
}

bool RegionBuilder::in_page(uint64_t rip) const {
    return entry_->second_gpa == Block::kNoPage && page_of(rip) == page_of(entry_->rip);
}

// Takes in code of this page that has run before.
BasicBlock::Successor RegionBuilder::successor(uint64_t rip) {
    BasicBlock::Successor result{.rip = rip, .block = std::nullopt};
    if (!in_page(rip)) return result;
    const uint64_t gpa = entry_->gpa + (rip - entry_->rip);
    Block* source = cpu_.code->find_decoded(gpa, entry_->mode, rip);
    if (source == nullptr || source->second_gpa != Block::kNoPage) return result;
    const auto known = std::find_if(region_->blocks.begin(), region_->blocks.end(),
                                    [&](const BasicBlock& b) { return b.source == source; });
    if (known != region_->blocks.end()) {
        result.block = static_cast<size_t>(known - region_->blocks.begin());
        return result;
    }
    const bool room = region_->blocks.size() < kMaxBlocks &&
                      region_->instructions.size() + source->count <= kMaxInstructions;
    // What has code of its own is linked to: taking it in again would make much code of little use.
    const bool linked_to = source->host != nullptr && !wide_;
    if (!room || source->heat < min_heat_ || linked_to) return result;
    result.block = region_->blocks.size();
    add_block(*source);
    return result;
}

void RegionBuilder::find_successors(BasicBlock& block) {
    const Instruction last = region_->instructions[block.first + block.count - 1];
    // After the instruction behind STI events are looked at, which entries of regions do. After an
    // RSP that is unknown another region finds its stack anew.
    const bool leaves =
        last.changes_rsp || region_->instructions[block.first].op->has(interp::Op::kFollowed);
    const auto way = [&](uint64_t rip) {
        return leaves ? BasicBlock::Successor{rip, std::nullopt} : successor(rip);
    };
    switch (last.kind) {
        case Kind::jump: block.next = way(last.op->immediate); break;
        case Kind::branch:
            block.next = way(last.next_rip());
            block.taken = way(last.op->immediate);
            break;
        case Kind::call:
            block.next = BasicBlock::Successor{last.op->immediate, std::nullopt};
            break;
        case Kind::jump_indirect:
        case Kind::call_indirect:
        case Kind::ret:
        case Kind::transfer:
        case Kind::interpret_end: break;
        default: block.next = way(last.next_rip()); break;
    }
}

// Depth first from the entry: each loop has a jump to a block that is still on the path.
void RegionBuilder::find_loops() {
    std::vector<Visit> visits(region_->blocks.size(), Visit::not_yet);
    find_loops_from(0, visits);
}

void RegionBuilder::find_loops_from(size_t number, std::vector<Visit>& visits) {
    visits[number] = Visit::on_path;
    for (const auto& way : {region_->blocks[number].next, region_->blocks[number].taken}) {
        if (!way || !way->block) continue;
        if (visits[*way->block] == Visit::not_yet) find_loops_from(*way->block, visits);
        if (visits[*way->block] == Visit::on_path) region_->blocks[*way->block].loop_head = true;
    }
    visits[number] = Visit::done;
}

void RegionBuilder::find_predecessors() {
    std::vector<unsigned> ways(region_->blocks.size());
    ways[0] = 1;  // from outside
    for (size_t i = 0; i < region_->blocks.size(); ++i) {
        for (const auto& way : {region_->blocks[i].next, region_->blocks[i].taken}) {
            if (!way || !way->block) continue;
            std::optional<size_t>& only = region_->blocks[*way->block].only_predecessor;
            only = ++ways[*way->block] == 1 && i < *way->block ? std::optional(i) : std::nullopt;
        }
    }
}

bool RegionBuilder::leaves_dirty(const BasicBlock& block) {
    bool dirty = block.flags_dirty_in;
    for (size_t n = 0; n < block.count; ++n) {
        Instruction& i = region_->instructions[block.first + n];
        i.flags_dirty = dirty;
        if (i.is_interpreted()) {
            dirty = false;
        } else if (i.changes_flags) {
            dirty = true;
        }
    }
    return dirty;
}

// Forwards, until nothing changes: where may the host's flags be newer than cpu.arith?
void RegionBuilder::find_dirty_flags() {
    for (bool changed = true; changed;) {
        changed = false;
        for (BasicBlock& block : region_->blocks) {
            block.flags_dirty_out = leaves_dirty(block);
            if (!block.flags_dirty_out) continue;
            for (const auto& way : {block.next, block.taken}) {
                if (!way || !way->block || region_->blocks[*way->block].flags_dirty_in) continue;
                region_->blocks[*way->block].flags_dirty_in = true;
                changed = true;
            }
        }
    }
}

uint32_t RegionBuilder::flags_outside(const BasicBlock::Successor& way) const {
    if (way.block) return 0;
    if (!in_page(way.rip)) return kAllFlags;
    const uint64_t gpa = entry_->gpa + (way.rip - entry_->rip);
    const uint64_t room = kPageSize - (gpa & (kPageSize - 1));
    const auto bytes = cpu_.memory.readable_range(Gpa{gpa}, room);
    if (bytes.empty()) return kAllFlags;
    return flags_needed(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<unsigned>(room),
                        undefined_);
}

// Outside the region cpu.arith counts: if it is true already, the host's flags are not needed.
void RegionBuilder::find_flags_outside(BasicBlock& block) const {
    if (!block.flags_dirty_out) return;
    for (auto* way : {&block.next, &block.taken}) {
        if (*way) (*way)->flags = flags_outside(**way);
    }
}

uint32_t RegionBuilder::flags_after(const BasicBlock& block) const {
    if (!block.next) return block.flags_dirty_out ? kAllFlags : 0;
    uint32_t live = 0;
    for (const auto& way : {block.next, block.taken}) {
        if (way) live |= way->block ? region_->blocks[*way->block].flags_live_in : way->flags;
    }
    return live;
}

// Backwards, until nothing changes: flags are live where some way leads to a reader before a
// writer.
void RegionBuilder::find_live_flags() {
    for (BasicBlock& block : region_->blocks)
        find_flags_outside(block);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t b = region_->blocks.size(); b-- > 0;) {
            BasicBlock& block = region_->blocks[b];
            uint32_t live = flags_after(block);
            for (size_t i = block.count; i-- > 0;) {
                Instruction& instruction = region_->instructions[block.first + i];
                instruction.flags_live_out = live;
                live = instruction.flags_live_in();
            }
            changed |= live != block.flags_live_in;
            block.flags_live_in = live;
        }
    }
}

void RegionBuilder::measure_stack(BasicBlock& block) const {
    int64_t rsp = 0;
    bool far = false;
    const auto touch = [&](int64_t from, int64_t size) {
        far |= rsp + from < -kFar || rsp + from + size > kFar;
        const auto low = static_cast<int32_t>(std::clamp(rsp + from, -kFar, kFar));
        const auto high = static_cast<int32_t>(std::clamp(rsp + from + size, -kFar, kFar));
        block.stack_low = block.uses_stack ? std::min(block.stack_low, low) : low;
        block.stack_high = block.uses_stack ? std::max(block.stack_high, high) : high;
        block.uses_stack = true;
    };
    for (const Instruction& i : region_->of(block)) {
        if (i.accesses && i.on_stack() && !i.is_interpreted())
            touch(i.op->displacement, i.memory_size);
        switch (i.kind) {
            case Kind::push:
            case Kind::pushf:
            case Kind::call:
            case Kind::call_indirect: touch(-8, 8); break;
            case Kind::pop:
            case Kind::ret: touch(0, 8); break;
            default: break;
        }
        rsp += i.stack_change;
    }
    block.stack_change = rsp;
    block.in_window = !far && block.stack_high - block.stack_low <= kMaxStackSpan;
    block.uses_stack &= block.in_window;
}

// One check at the entry covers all blocks if RSP is the same on all ways to each of them. Else
// each block checks for itself.
void RegionBuilder::place_stack_checks() {
    std::vector<std::optional<int64_t>> at(region_->blocks.size());
    at[0] = 0;
    bool same = true;
    for (bool changed = true; changed && same;) {
        changed = false;
        for (size_t i = 0; i < region_->blocks.size(); ++i) {
            const BasicBlock& block = region_->blocks[i];
            if (!at[i]) continue;
            for (const auto& way : {block.next, block.taken}) {
                if (!way || !way->block) continue;
                const int64_t rsp = *at[i] + block.stack_change;
                std::optional<int64_t>& known = at[*way->block];
                same &= rsp >= -kFar && rsp <= kFar && (!known || *known == rsp);
                changed |= !known;
                known = rsp;
            }
        }
    }
    int32_t low = 0;
    int32_t high = 0;
    bool any = false;
    for (size_t i = 0; i < region_->blocks.size() && same; ++i) {
        const BasicBlock& block = region_->blocks[i];
        if (!block.uses_stack) continue;
        const auto rsp = static_cast<int32_t>(at[i].value_or(0));
        low = any ? std::min(low, rsp + block.stack_low) : rsp + block.stack_low;
        high = any ? std::max(high, rsp + block.stack_high) : rsp + block.stack_high;
        any = true;
    }
    if (same && any && high - low <= kMaxStackSpan) {
        region_->checks_stack = true;
        region_->stack_low = low;
        region_->stack_high = high;
        return;
    }
    for (BasicBlock& block : region_->blocks)
        block.checks_stack = block.uses_stack;
}

}  // namespace banyan::jit
