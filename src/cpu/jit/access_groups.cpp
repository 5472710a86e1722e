#include "cpu/jit/access_groups.hpp"

#include <algorithm>
#include <vector>

#include "cpu/jit/region.hpp"

namespace banyan::jit {

using interp::Op;

namespace {

// A group that lies on two pages is slow: the smaller it is, the less likely that is.
constexpr int64_t kMaxSize = 256;

bool can_be_grouped(const Instruction& i, bool in_window) {
    const bool native = i.kind == Kind::native || i.kind == Kind::x87 || i.kind == Kind::push;
    return native && i.memory >= 0 && i.accesses && i.memory_size != 0 &&
           !i.op->has(Op::kAddress32) && !(in_window && i.on_stack());
}

bool same_address(const Op& a, const Op& b) {
    return a.base == b.base && a.index == b.index && a.scale == b.scale && a.segment == b.segment;
}

// One test is enough for all that must be aligned.
bool fits_alignment(const AccessGroup& group, const Instruction& i) {
    if (!i.aligned || group.alignment == 0) return true;
    return group.alignment == i.memory_size &&
           (i.op->displacement - group.aligned_at) % i.memory_size == 0;
}

class Grouping {
public:
    explicit Grouping(Region& region) : region_(region), open_at_end_(region.blocks.size()) {}

    void run() {
        for (size_t i = 0; i < region_.blocks.size(); ++i) {
            const BasicBlock& block = region_.blocks[i];
            open_.clear();
            if (block.only_predecessor) open_ = open_at_end_[*block.only_predecessor];
            inherited_ = region_.groups.size();
            add_block(block);
            open_at_end_[i] = open_;
        }
        dissolve_lonely();
    }

private:
    // A scattered block has no accesses in groups, but its registers change like any other's.
    void add_block(const BasicBlock& block) {
        for (Instruction& i : region_.mutable_of(block)) {
            // These may change segments' bases, or anything.
            if (i.is_interpreted() || i.kind == Kind::system) {
                open_.clear();
                continue;
            }
            if (!block.source->scattered && can_be_grouped(i, block.in_window)) add(i);
            std::erase_if(open_, [&](size_t group) {
                const Op& op = *region_.groups[group].first->op;
                return i.writes_gpr(op.base) || i.writes_gpr(op.index);
            });
        }
    }

    // Accesses of another block may not come to pass: for them the check may cover more bytes, but
    // must not ask for another right or alignment.
    bool may_join(size_t number, const Instruction& i) const {
        const AccessGroup& group = region_.groups[number];
        if (!same_address(*i.op, *group.first->op) || !fits_alignment(group, i)) return false;
        return number >= inherited_ ||
               ((group.writes || !i.writes_memory) && (group.alignment != 0 || !i.aligned));
    }

    void add(Instruction& i) {
        const int64_t low = i.op->displacement;
        const int64_t high = low + i.memory_size;
        for (const size_t number : open_) {
            AccessGroup& group = region_.groups[number];
            const int64_t all_low = std::min(low, group.low);
            const int64_t all_high = std::max(high, group.high);
            if (all_high - all_low > kMaxSize || !may_join(number, i)) continue;
            note_alignment(group, i);
            group.low = all_low;
            group.high = all_high;
            group.writes |= i.writes_memory;
            group.last = &i;
            ++group.members;
            i.group = static_cast<int16_t>(number);
            return;
        }
        i.group = static_cast<int16_t>(region_.groups.size());
        open_.push_back(region_.groups.size());
        AccessGroup& group = region_.groups.emplace_back();
        group.first = group.last = &i;
        group.members = 1;
        group.low = low;
        group.high = high;
        group.writes = i.writes_memory;
        note_alignment(group, i);
    }

    static void note_alignment(AccessGroup& group, const Instruction& i) {
        if (!i.aligned) return;
        group.alignment = i.memory_size;
        group.aligned_at = i.op->displacement;
    }

    void dissolve_lonely() {
        for (Instruction& i : region_.instructions) {
            if (i.group >= 0 && region_.groups[static_cast<size_t>(i.group)].members == 1)
                i.group = -1;
        }
    }

    Region& region_;
    // Groups that the next access may join; those from this number on are of this block.
    std::vector<size_t> open_;
    size_t inherited_ = 0;
    std::vector<std::vector<size_t>> open_at_end_;
};

}  // namespace

void group_accesses(Region& region) {
    Grouping(region).run();
}

}  // namespace banyan::jit
