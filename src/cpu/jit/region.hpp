// Region: the unit of translation. Basic blocks of one page that direct jumps connect, found from
// one entry; what leaves the region is a link to another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cpu/jit/access_groups.hpp"
#include "cpu/jit/instruction.hpp"
#include "cpu/jit/jit_cpu.hpp"
#include "cpu/jit/jit_engine.hpp"

namespace banyan::jit {

struct BasicBlock {
    interp::Block* source = nullptr;
    size_t first = 0;  // index of its first instruction in Region::instructions
    size_t count = 0;
    // Where it goes on: always `next` when nothing branches, `taken` when something does. The index
    // of a block of this region, or none: then it leaves for the address.
    struct Successor {
        uint64_t rip = 0;
        std::optional<size_t> block;
        uint32_t flags = 0;  // out of the region: what is there may look at these
    };
    std::optional<Successor> next;
    std::optional<Successor> taken;
    // The block that every way here comes from, if it comes before this one.
    std::optional<size_t> only_predecessor;

    uint32_t flags_live_in = 0;
    bool flags_dirty_in = false;  // cpu.arith may not be what the flags are
    bool flags_dirty_out = false;
    bool loop_head = false;  // each loop has one

    // Bytes of the stack that it accesses, from RSP at its start; and how far it moves RSP.
    bool uses_stack = false;
    bool in_window = false;  // its accesses lie near enough to each other for the stack window
    int32_t stack_low = 0;
    int32_t stack_high = 0;
    int64_t stack_change = 0;
    bool checks_stack = false;  // by itself: the check at the region's entry does not cover it

    uint64_t rip() const { return source->rip; }
    uint64_t end_rip() const { return source->rip + source->length; }
};

struct Region {
    std::vector<Instruction> instructions;
    std::vector<BasicBlock> blocks;  // the first is the entry
    std::vector<AccessGroup> groups;
    bool uses_vectors = false;
    bool uses_avx512 = false;
    bool uses_x87 = false;
    // What the entry checks of the stack, from RSP there.
    bool checks_stack = false;
    int32_t stack_low = 0;
    int32_t stack_high = 0;

    std::span<const Instruction> of(const BasicBlock& block) const {
        return {instructions.data() + block.first, block.count};
    }
    std::span<Instruction> mutable_of(const BasicBlock& block) {
        return {instructions.data() + block.first, block.count};
    }
};

class RegionBuilder {
public:
    RegionBuilder(JitCpu& cpu, const JitOptions& options)
        : cpu_(cpu),
          undefined_(options.undefined_flags),
          min_heat_(std::max(options.hot / 4, 1U)),
          wide_(options.wide_regions) {}

    // The region that `entry` begins. `stack_window`: stack accesses go through the window, so
    // that their range must be known.
    void build(interp::Block& entry, bool stack_window, Region& region);

private:
    static constexpr size_t kMaxBlocks = 24;
    static constexpr size_t kMaxInstructions = 240;

    void add_block(interp::Block& source);
    void read_crossing(const interp::Block& source, uint8_t* to) const;

    void find_successors(BasicBlock& block);
    BasicBlock::Successor successor(uint64_t rip);
    void measure_stack(BasicBlock& block) const;
    void place_stack_checks();
    enum class Visit : uint8_t { not_yet, on_path, done };
    void find_loops();
    void find_loops_from(size_t number, std::vector<Visit>& visits);
    void find_predecessors();
    void find_dirty_flags();
    bool leaves_dirty(const BasicBlock& block);
    void find_live_flags();
    void find_flags_outside(BasicBlock& block) const;
    uint32_t flags_after(const BasicBlock& block) const;
    uint32_t flags_outside(const BasicBlock::Successor& way) const;
    bool in_page(uint64_t rip) const;

    JitCpu& cpu_;
    UndefinedFlags undefined_;
    uint32_t min_heat_;  // of a block that becomes part of a region that it does not begin
    bool wide_;          // JitOptions::wide_regions
    Region* region_ = nullptr;
    interp::Block* entry_ = nullptr;
};

}  // namespace banyan::jit
