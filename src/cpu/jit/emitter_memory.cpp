// Memory: addresses, and the software TLB's fast way.
#include <cstddef>

#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

namespace {

// The address is the displacement: absolute, or relative to RIP.
bool is_constant(const interp::Op& op) {
    return op.base == interp::kZeroRegister && op.index == interp::kZeroRegister &&
           op.segment != x86::kFs && op.segment != x86::kGs && !op.has(interp::Op::kAddress32);
}

}  // namespace

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

void Emitter::load_offset(const Instruction& instruction, int64_t displaced) {
    const interp::Op& op = *instruction.op;
    const bool has_base = op.base != interp::kZeroRegister;
    const bool has_index = op.index != interp::kZeroRegister;
    if (!has_base && !has_index) {
        a_.mov(kT0, displaced);
    } else {
        const auto displacement = static_cast<int32_t>(displaced);
        if (!has_base) a_.mov(kT0, displaced);
        const x86a::Gp base = has_base ? read_gpr(op.base, kT0) : kT0;
        const int32_t rest = has_base ? displacement : 0;
        if (has_index) {
            const x86a::Gp index = read_gpr(op.index, kT1);
            a_.lea(kT0, x86a::ptr(base, index, op.scale, rest));
        } else if (rest != 0) {
            a_.lea(kT0, x86a::ptr(base, rest));
        } else if (base != kT0) {
            a_.mov(kT0, base);
        }
    }
    if (op.has(interp::Op::kAddress32)) a_.mov(kT0.r32(), kT0.r32());
}

void Emitter::load_address(const Instruction& instruction, int64_t displacement) {
    load_offset(instruction, displacement);
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

void Emitter::locate(const Instruction& instruction, int64_t displacement, unsigned size,
                     bool write, bool aligned, const Label& slow) {
    const auto address = static_cast<uint64_t>(displacement);
    const bool in_page = (address & (kPageSize - 1)) + size <= kPageSize;
    if (is_constant(*instruction.op) && in_page && (!aligned || address % size == 0))
        return locate_constant(address, write, slow);
    load_address(instruction, displacement);
    check(size, write, aligned, slow);
}

// Where it is in the TLB is known, and that it does not leave its page.
void Emitter::locate_constant(uint64_t address, bool write, const Label& slow) {
    using Layout = interp::Tlb::Layout;
    const uint64_t page = address & ~(kPageSize - 1);
    const auto entry = [&](size_t table) {
        return state(tlb_at(view_, table + size_t{interp::Tlb::index(address)} * sizeof(uint64_t)));
    };
    a_.mov(kT0, page);
    a_.cmp(kT0, entry(write ? Layout::write_tags : Layout::read_tags));
    a_.jne(slow);
    a_.mov(kT0, entry(Layout::pages));
    if (address != page) a_.add(kT0, static_cast<int32_t>(address - page));
}

void Emitter::slow_way(const Instruction& instruction, const Label& slow, const Label& done) {
    const uint32_t site = add_site(instruction);
    const size_t number = slow_loads_.size();
    slow_loads_.push_back(false);
    slow_open_.push_back(number);
    const Instruction* x87 = x87_last_;
    later([=, this] {
        a_.bind(slow);
        note_x87(x87);
        a_.mov(kT1.r32(), site);
        a_.call(std::bit_cast<uint64_t>(stubs_.run_op));
        if (slow_loads_[number]) load_flags();
        a_.jmp(done);
    });
}

void Emitter::join(const Instruction& instruction, const Label& done) {
    a_.bind(done);
    for (const size_t number : slow_open_)
        slow_loads_[number] = host_flags_ && instruction.flags_live_out != 0;
    slow_open_.clear();
}

void Emitter::interpret_rest(const Instruction& instruction, const Label& slow) {
    const uint32_t site = add_site(instruction);
    const Instruction* x87 = x87_last_;
    later([=, this] {
        a_.bind(slow);
        note_x87(x87);
        a_.mov(kT1.r32(), site);
        a_.call(std::bit_cast<uint64_t>(stubs_.run_rest));  // does not come back
    });
}

void Emitter::checked_address(const Instruction& instruction, const Label& done) {
    const Label slow = new_label();
    locate(instruction, instruction.op->displacement, instruction.memory_size,
           instruction.writes_memory, instruction.aligned, slow);
    slow_way(instruction, slow, done);
}

size_t Emitter::slot_of(const AccessGroup& group) const {
    return static_cast<size_t>(&group - region_.groups.data()) % groups_.size();
}

x86a::Mem Emitter::group_slot(const AccessGroup& group) const {
    return state(kGroupAddressesAt + static_cast<int32_t>(slot_of(group)) * 8);
}

// T0 is where the group begins on the host.
void Emitter::group_address(const Instruction& instruction) {
    const AccessGroup& group = region_.groups[static_cast<size_t>(instruction.group)];
    if (in_t0_ == &group) return;
    release_t0();
    if (groups_[slot_of(group)] == &group) {
        a_.mov(kT0, group_slot(group));
    } else {
        const Label slow = new_label();
        keep_flags(instruction);
        locate(instruction, group.low, group.size(), group.writes, false, slow);
        check_alignment(group, slow);
        interpret_rest(instruction, slow);
    }
    in_t0_ = &group;
}

void Emitter::check_alignment(const AccessGroup& group, const Label& slow) {
    if (group.alignment == 0) return;
    const auto distance = static_cast<int32_t>(group.aligned_at - group.low);
    a_.lea(kT1, x86a::ptr(kT0, distance));
    a_.test(kT1.r8(), group.alignment - 1);
    a_.jnz(slow);
}

void Emitter::release_t0() {
    if (in_t0_ == nullptr) return;
    const AccessGroup*& kept = groups_[slot_of(*in_t0_)];
    if (kept != in_t0_) {
        a_.mov(group_slot(*in_t0_), kT0);
        kept = in_t0_;
    }
    in_t0_ = nullptr;
}

void Emitter::forget_groups() {
    groups_ = {};
    in_t0_ = nullptr;
}

void Emitter::inherit_groups(const BasicBlock& block) {
    forget_groups();
    if (block.only_predecessor) groups_ = groups_at_end_[*block.only_predecessor];
}

void Emitter::hand_on_groups(const BasicBlock& block) {
    if (in_t0_ != nullptr && in_t0_->last > &region_.of(block).back()) release_t0();
}

HostAddress Emitter::place_of(const Instruction& instruction) const {
    const int64_t displacement = instruction.op->displacement;
    if (in_window(instruction))
        return {static_cast<uint8_t>(kStack.id()), static_cast<int32_t>(displacement)};
    if (instruction.group < 0) return {static_cast<uint8_t>(kT0.id()), 0};
    const AccessGroup& group = region_.groups[static_cast<size_t>(instruction.group)];
    return {static_cast<uint8_t>(kT0.id()), static_cast<int32_t>(displacement - group.low)};
}

HostAddress Emitter::memory_operand(const Instruction& instruction, const Label& done) {
    if (instruction.group >= 0) {
        group_address(instruction);
        if (instruction.kind != Kind::native) release_t0();  // others use T0 for more
    } else if (!in_window(instruction)) {
        keep_flags(instruction);
        checked_address(instruction, done);
    }
    return place_of(instruction);
}

}  // namespace banyan::jit
