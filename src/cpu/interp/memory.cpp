// Memory accesses that miss the TLB, segment checks, and what must be known of writes.
#include <algorithm>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "cpu/interp/cpu.hpp"
#include "cpu/interp/debug.hpp"
#include "cpu/interp/system.hpp"
#include "support/bits.hpp"

namespace banyan::interp {

using x86::Attributes;
using x86::Segment;
using x86::Vector;

namespace {

// Copies with one host access where the guest's access is one: aligned powers of two stay
// single-copy atomic.
void move_bytes(void* to, const void* from, unsigned size) {
    switch (size) {
        case 1: std::memcpy(to, from, 1); break;
        case 2: std::memcpy(to, from, 2); break;
        case 4: std::memcpy(to, from, 4); break;
        case 8: std::memcpy(to, from, 8); break;
        default: std::memcpy(to, from, size); break;
    }
}

// Devices are reached in naturally aligned pieces of 1, 2, 4 or 8 bytes.
unsigned device_piece(uint64_t gpa, unsigned size) {
    const unsigned alignment = 1U << std::countr_zero(gpa | 8);
    return std::min(alignment, std::bit_floor(std::min(size, 8U)));
}

}  // namespace

bool Cpu::raise(const Op* op, Vector vector) {
    fault = {.active = true, .vector = vector};
    fault_op = op;
    return false;
}

bool Cpu::raise(const Op* op, Vector vector, uint32_t error) {
    fault = {.active = true, .has_error = true, .vector = vector, .error = error};
    fault_op = op;
    return false;
}

bool Cpu::raise_segment(const Op* op, Segment segment) {
    return raise(op, segment == x86::kSs ? Vector::ss : Vector::gp, 0);
}

// Intel SDM vol. 3 sections 5.3 (limits), 5.5 (types); real-address mode: section 21.1.
inline bool Cpu::within_segment(Segment segment, uint64_t offset, unsigned size,
                                Access access) const {
    const x86::SegmentRegister& s = seg[segment];
    const Attributes a = s.attributes;
    if (protected_mode() && !vm86()) {
        if (!s.usable()) return false;
        const bool executable = a.get<Attributes::Code>();
        const bool flag = a.get<Attributes::Writable>();  // readable, for code
        if (access == Access::write && (executable || !flag)) return false;
        if (access == Access::read && executable && !flag) return false;
    }
    const bool expand_down = !a.get<Attributes::Code>() && a.get<Attributes::ExpandDown>();
    if (expand_down && a.get<Attributes::CodeOrData>()) [[unlikely]] {
        const uint64_t top = a.get<Attributes::Big>() ? 0xFFFFFFFF : 0xFFFF;
        return offset > s.limit && offset <= top && size - 1 <= top - offset;
    }
    return offset <= s.limit && size - 1 <= s.limit - offset;
}

inline bool Cpu::check_segment(const Op* op, Segment segment, uint64_t offset, unsigned size,
                               Access access) {
    return within_segment(segment, offset, size, access) || raise_segment(op, segment);
}

bool Cpu::check_canonical(const Op* op, uint64_t linear, unsigned size) {
    if (is_canonical(linear) && is_canonical(linear + size - 1)) return true;
    const bool stack = op != nullptr && op->has(Op::kHasMemory) && op->segment == x86::kSs;
    return raise_segment(op, stack ? x86::kSs : x86::kDs);
}

bool Cpu::check_fetch(uint64_t linear) {
    if (code64() ? is_canonical(linear) : within_code_limit(rip)) return true;
    return raise(nullptr, Vector::gp, 0);
}

bool Cpu::segment_address(const Op* op, Segment segment, uint64_t offset, unsigned size,
                          Access access, uint64_t& linear) {
    linear = offset + base[segment];
    if (code64()) {
        if (!is_canonical(linear) || !is_canonical(linear + size - 1))
            return raise_segment(op, segment);
    } else {
        if (has_limit(segment) && !check_segment(op, segment, offset, size, access)) return false;
        linear &= 0xFFFFFFFF;
    }
    if (mode.has(Mode::kAlignmentCheck) && size <= 8 && (linear & (size - 1)) != 0)
        return raise(op, Vector::ac, 0);
    return true;
}

// All that is special has no tag in the TLB; what is not canonical neither.
std::byte* Cpu::find_plain(Segment segment, uint64_t offset, unsigned size, Access access) const {
    if (mode.has(Mode::kAlignmentCheck)) return nullptr;
    uint64_t linear = offset + base[segment];
    if (!code64()) {
        if (has_limit(segment) && !within_segment(segment, offset, size, access)) return nullptr;
        linear &= 0xFFFFFFFF;
    }
    return access == Access::write ? tlb->writable(linear, size) : tlb->readable(linear, size);
}

bool Cpu::operand_address_slow(const Op* op, uint64_t ea, unsigned size, Access access,
                               uint64_t& linear) {
    const auto segment = static_cast<Segment>(op->segment);
    if (op->has(Op::kCheckSegment) && !check_segment(op, segment, ea, size, access)) return false;
    linear = ea + base[segment];
    if (!code64()) linear &= 0xFFFFFFFF;
    if (op->has(Op::kCheckAlignment) && size <= 8 && (linear & (size - 1)) != 0)
        return raise(op, Vector::ac, 0);
    return true;
}

bool Cpu::resolve(const Op* op, uint64_t linear, unsigned size, Access access, View as,
                  Target& target) {
    ++counters.slow_accesses;
    settle();
    if (long_mode()) {
        if (!check_canonical(op, linear, size)) return false;
    } else {
        linear &= 0xFFFFFFFF;
    }
    const unsigned room = static_cast<unsigned>(kPageSize - (linear & (kPageSize - 1)));
    if (op != nullptr && debug_active(*this)) note_data_access(*this, linear, size, access);
    target.size = size;
    target.first_size = std::min(size, room);
    Translation first;
    if (!translate(op, linear, access, as, first)) return false;
    target.gpa[0] = first.gpa;
    if (size > room) {
        const uint64_t next = long_mode() ? linear + room : (linear + room) & 0xFFFFFFFF;
        Translation second;
        if (!translate(op, next, access, as, second)) return false;
        target.gpa[1] = second.gpa;
        return true;
    }
    fill_tlb(linear, first, as);
    const auto region = memory.find(Gpa{first.gpa});
    if (region && (region->kind == MemoryKind::ram || access != Access::write)) {
        target.host = region->host + (first.gpa - region->start.value);
    }
    return true;
}

void Cpu::fill_tlb(uint64_t linear, const Translation& translation, View as) {
    const auto region = memory.find(Gpa{translation.gpa});
    if (!region || page_is_watched(*this, linear)) return;
    const uint64_t offset = (translation.gpa & ~(kPageSize - 1)) - region->start.value;
    const bool plain =
        region->page_flags[offset >> kPageShift].load(std::memory_order_seq_cst) == 0;
    const bool writable = translation.writable && region->kind == MemoryKind::ram && plain;
    ++counters.tlb_fills;
    tlbs[static_cast<unsigned>(as)].insert(
        linear, region->host + offset,
        {.writable = writable, .large = translation.large, .global = translation.global});
}

// Accesses of the system's own (descriptors, gates, stacks of other levels) come here at once: the
// TLB of their view is asked first.
bool Cpu::read_slow(const Op* op, uint64_t linear, void* to, unsigned size, View as) {
    if (const std::byte* host = tlbs[static_cast<unsigned>(as)].readable(linear, size)) {
        move_bytes(to, host, size);
        return true;
    }
    Target target;
    if (!resolve(op, linear, size, Access::read, as, target)) return false;
    copy_in(target, to);
    return true;
}

bool Cpu::write_slow(const Op* op, uint64_t linear, const void* from, unsigned size, View as) {
    if (std::byte* host = tlbs[static_cast<unsigned>(as)].writable(linear, size)) {
        move_bytes(host, from, size);
        return true;
    }
    Target target;
    if (!resolve(op, linear, size, Access::write, as, target)) return false;
    copy_out(target, from);
    return true;
}

bool Cpu::probe(const Op* op, uint64_t linear, unsigned size, Access access, View as) {
    Target target;
    return resolve(op, linear, size, access, as, target);
}

void Cpu::copy_in(const Target& target, void* to) {
    auto* bytes = static_cast<std::byte*>(to);
    if (target.host != nullptr) {
        move_bytes(bytes, target.host, target.size);
        return;
    }
    read_physical(target.gpa[0], bytes, target.first_size);
    if (target.size > target.first_size) {
        read_physical(target.gpa[1], bytes + target.first_size, target.size - target.first_size);
    }
}

void Cpu::copy_out(const Target& target, const void* from) {
    const auto* bytes = static_cast<const std::byte*>(from);
    if (target.host != nullptr) {
        move_bytes(target.host, bytes, target.size);
        note_write(target.gpa[0], target.size);
        return;
    }
    write_physical(target.gpa[0], bytes, target.first_size);
    if (target.size > target.first_size) {
        write_physical(target.gpa[1], bytes + target.first_size, target.size - target.first_size);
    }
}

void Cpu::read_physical(uint64_t gpa, std::byte* to, unsigned size) {
    const auto ram = memory.readable_range(Gpa{gpa}, size);
    if (!ram.empty()) {
        move_bytes(to, ram.data(), size);
        return;
    }
    while (size != 0) {
        const unsigned piece = device_piece(gpa, size);
        const uint64_t value = wiring.io->mmio_read(Gpa{gpa}, piece);
        move_bytes(to, &value, piece);
        gpa += piece;
        to += piece;
        size -= piece;
    }
}

void Cpu::write_physical(uint64_t gpa, const std::byte* from, unsigned size) {
    if (const auto region = memory.find(Gpa{gpa});
        region && region->kind == MemoryKind::ram && region->contains(Gpa{gpa}, size)) {
        move_bytes(region->host + (gpa - region->start.value), from, size);
        note_write(gpa, size);
        return;
    }
    while (size != 0) {
        const unsigned piece = device_piece(gpa, size);
        uint64_t value = 0;
        move_bytes(&value, from, piece);
        wiring.io->mmio_write(Gpa{gpa}, piece, value);
        gpa += piece;
        from += piece;
        size -= piece;
    }
}

void Cpu::note_write(uint64_t gpa, unsigned size) {
    const auto region = memory.find(Gpa{gpa});
    if (!region) return;
    std::atomic<uint8_t>& flags = region->page_flags[(gpa - region->start.value) >> kPageShift];
    const uint8_t now = flags.load(std::memory_order_seq_cst);
    if ((now & kPageLogDirty) != 0) flags.fetch_and(static_cast<uint8_t>(~kPageLogDirty));
    if ((now & kPageHasCode) != 0) {
        code->invalidate(gpa, size);
        coherence.code_written(this, gpa, size);
    }
}

std::unique_lock<std::mutex> Cpu::lock_bus(bool wanted) {
    return wanted ? std::unique_lock(coherence.bus_lock()) : std::unique_lock<std::mutex>();
}

}  // namespace banyan::interp
