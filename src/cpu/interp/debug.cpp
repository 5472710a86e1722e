#include "cpu/interp/debug.hpp"

namespace banyan::interp {

namespace {

enum class Kind : uint8_t { execute = 0, write = 1, port = 2, access = 3 };  // R/W fields of DR7

bool enabled(const Cpu& cpu, unsigned i) {
    return (cpu.dr7 >> (2 * i) & 3U) != 0;
}
Kind kind_of(const Cpu& cpu, unsigned i) {
    return static_cast<Kind>(cpu.dr7 >> (16 + 4 * i) & 3U);
}

// LEN field 2 is eight bytes: Intel SDM vol. 3 section 18.2.4.
unsigned size_of(const Cpu& cpu, unsigned i) {
    static constexpr unsigned kSizes[4] = {1, 2, 8, 4};
    return kSizes[cpu.dr7 >> (18 + 4 * i) & 3U];
}

uint64_t start_of(const Cpu& cpu, unsigned i) {
    return cpu.dr[i] & ~uint64_t{size_of(cpu, i) - 1};
}

bool overlaps(const Cpu& cpu, unsigned i, uint64_t address, unsigned size) {
    const uint64_t start = start_of(cpu, i);
    return address < start + size_of(cpu, i) && start < address + size;
}

// The hits of the last debug exception do not add up with those of earlier ones; BS, BT and BD stay
// until the handler clears them.
void set_dr6(Cpu& cpu, uint64_t bits) {
    cpu.dr6 = (cpu.dr6 & ~kDr6Hits) | bits;
}

}  // namespace

bool check_execution_breakpoint(Cpu& cpu) {
    cpu.debug.step = cpu.flag(x86::kTf);
    cpu.debug.hits = cpu.debug.held_hits;
    cpu.debug.held_hits = 0;
    cpu.debug.hold = false;
    if (cpu.flag(x86::kRf)) return false;
    uint64_t hits = 0;
    const uint64_t linear = cpu.base[x86::kCs] + cpu.rip;
    for (unsigned i = 0; i < 4; ++i) {
        if (enabled(cpu, i) && kind_of(cpu, i) == Kind::execute && cpu.dr[i] == linear)
            hits |= uint64_t{1} << i;
    }
    if (hits == 0) return false;
    set_dr6(cpu, hits);
    cpu.raise(nullptr, x86::Vector::db);
    return true;
}

bool after_instruction_debug(Cpu& cpu) {
    // A breakpoint on a repeated string instruction stops before the first iteration only: Intel
    // SDM vol. 3 section 18.3.1.1.
    if (!cpu.debug.resume) cpu.system_flags &= ~static_cast<uint32_t>(x86::kRf);
    if (cpu.debug.repeating) cpu.system_flags |= x86::kRf;
    cpu.debug.resume = cpu.debug.repeating = false;
    // MOV SS and POP SS hold back what they hit until after the next instruction, and swallow the
    // single step: Intel SDM vol. 3 section 6.8.3.
    if (cpu.debug.hold) {
        cpu.debug.held_hits = cpu.debug.hits;
        return true;
    }
    const uint64_t bits = cpu.debug.hits | (cpu.debug.step ? kDr6Bs : 0);
    cpu.debug.hits = 0;
    cpu.debug.step = false;
    if (bits == 0) return true;
    raise_debug_trap(cpu, bits);
    return false;
}

void note_data_access(Cpu& cpu, uint64_t linear, unsigned size, Access access) {
    cpu.debugger.note_access(linear, size, access);
    for (unsigned i = 0; i < 4; ++i) {
        const Kind kind = kind_of(cpu, i);
        const bool matches =
            kind == Kind::access || (kind == Kind::write && access == Access::write);
        if (enabled(cpu, i) && matches && overlaps(cpu, i, linear, size)) {
            cpu.debug.hits = static_cast<uint8_t>(cpu.debug.hits | 1U << i);
        }
    }
}

bool page_is_watched(const Cpu& cpu, uint64_t linear) {
    const uint64_t page = linear & ~(kPageSize - 1);
    for (unsigned i = 0; i < 4; ++i) {
        const Kind kind = kind_of(cpu, i);
        const bool data = kind == Kind::write || kind == Kind::access;
        if (enabled(cpu, i) && data && overlaps(cpu, i, page, kPageSize)) return true;
    }
    return cpu.debugger.watches(page, kPageSize);
}

void note_port_access(Cpu& cpu, uint16_t port, unsigned size) {
    if ((cpu.dr7 & kDr7Enables) == 0 || (cpu.cr4 & x86::kCr4De) == 0) return;
    for (unsigned i = 0; i < 4; ++i) {
        if (enabled(cpu, i) && kind_of(cpu, i) == Kind::port && overlaps(cpu, i, port, size)) {
            cpu.debug.hits = static_cast<uint8_t>(cpu.debug.hits | 1U << i);
        }
    }
}

// Where no breakpoint can see RF, it is not kept: it would stay on until the next breakpoint is
// armed.
void set_resume_flag(Cpu& cpu, bool resume) {
    cpu.debug.resume = resume && (cpu.dr7 & kDr7Enables) != 0;
    cpu.system_flags =
        (cpu.system_flags & ~static_cast<uint32_t>(x86::kRf)) | (cpu.debug.resume ? x86::kRf : 0U);
}

void raise_debug_trap(Cpu& cpu, uint64_t dr6_bits) {
    set_dr6(cpu, dr6_bits | (cpu.dr6 & ~kDr6Hits));
    cpu.raise(nullptr, x86::Vector::db);
    cpu.fault.trap = true;
}

}  // namespace banyan::interp
