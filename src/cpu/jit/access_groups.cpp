#include "cpu/jit/access_groups.hpp"

#include <algorithm>

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
    Grouping(std::span<Instruction> block, std::vector<AccessGroup>& groups)
        : block_(block), groups_(groups) {}

    void run(bool in_window) {
        for (Instruction& i : block_) {
            // These may change segments' bases, or anything.
            if (i.is_interpreted() || i.kind == Kind::system) {
                open_.clear();
                continue;
            }
            if (can_be_grouped(i, in_window)) add(i);
            std::erase_if(open_, [&](size_t group) {
                const Op& op = *groups_[group].first->op;
                return i.writes_gpr(op.base) || i.writes_gpr(op.index);
            });
        }
        dissolve_lonely();
    }

private:
    void add(Instruction& i) {
        const int64_t low = i.op->displacement;
        const int64_t high = low + i.memory_size;
        for (const size_t number : open_) {
            AccessGroup& group = groups_[number];
            const int64_t all_low = std::min(low, group.low);
            const int64_t all_high = std::max(high, group.high);
            if (!same_address(*i.op, *group.first->op) || all_high - all_low > kMaxSize ||
                !fits_alignment(group, i))
                continue;
            note_alignment(group, i);
            group.low = all_low;
            group.high = all_high;
            group.writes |= i.writes_memory;
            ++group.members;
            i.group = static_cast<int16_t>(number);
            return;
        }
        i.group = static_cast<int16_t>(groups_.size());
        open_.push_back(groups_.size());
        AccessGroup& group = groups_.emplace_back();
        group.first = &i;
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
        for (Instruction& i : block_) {
            if (i.group >= 0 && groups_[static_cast<size_t>(i.group)].members == 1) i.group = -1;
        }
    }

    std::span<Instruction> block_;
    std::vector<AccessGroup>& groups_;
    std::vector<size_t> open_;
};

}  // namespace

void group_accesses(std::span<Instruction> block, bool in_window,
                    std::vector<AccessGroup>& groups) {
    Grouping(block, groups).run(in_window);
}

}  // namespace banyan::jit
