// MOV to and from CR0, CR2, CR3, CR4, CR8; LMSW, SMSW, CLTS. Source: Intel SDM vol. 3 section 2.5,
// vol. 2 "MOV".
#include "cpu/interp/control_registers.hpp"

#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/segments.hpp"
#include "cpu/interp/system.hpp"
#include "support/bits.hpp"

namespace banyan::interp {

namespace {

constexpr uint64_t kCr0Known = x86::kCr0Pe | x86::kCr0Mp | x86::kCr0Em | x86::kCr0Ts | x86::kCr0Et |
                               x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Am | x86::kCr0Nw | x86::kCr0Cd |
                               x86::kCr0Pg;
constexpr uint64_t kNoFlush = uint64_t{1} << 63;
constexpr uint64_t kPcidMask = 0xFFF;

bool is_pae(const Cpu& cpu, uint64_t cr0, uint64_t cr4) {
    return (cr0 & x86::kCr0Pg) != 0 && (cr4 & x86::kCr4Pae) != 0 && !cpu.long_mode();
}

// Paging on: enters long mode if EFER.LME asks for it. Intel SDM vol. 3 section 9.8.5.
bool enable_paging(Cpu& cpu) {
    if ((cpu.msr.efer & x86::kEferLme) == 0) return true;
    const bool tss16 = (cpu.tr.attributes.get<x86::Attributes::Type>() & 8U) == 0;
    if ((cpu.cr4 & x86::kCr4Pae) == 0 ||
        cpu.seg[x86::kCs].attributes.get<x86::Attributes::Long>() || tss16) {
        return false;
    }
    cpu.msr.efer |= x86::kEferLma;
    return true;
}

bool disable_paging(Cpu& cpu) {
    if (cpu.code64() || (cpu.cr4 & x86::kCr4Pcide) != 0) return false;
    cpu.msr.efer &= ~uint64_t{x86::kEferLma};
    return true;
}

bool cr0_allowed(uint64_t value) {
    if ((value >> 32) != 0) return false;
    if ((value & x86::kCr0Pg) != 0 && (value & x86::kCr0Pe) == 0) return false;
    return (value & x86::kCr0Nw) == 0 || (value & x86::kCr0Cd) != 0;
}

}  // namespace

bool write_cr0(Cpu& cpu, const Op* op, uint64_t value) {
    if (!cr0_allowed(value)) return cpu.raise_gp(op);
    value = (value & kCr0Known) | x86::kCr0Et;
    const uint64_t changed = value ^ cpu.cr0;
    const uint64_t old_efer = cpu.msr.efer;
    if ((changed & x86::kCr0Pg) != 0) {
        const bool switched = (value & x86::kCr0Pg) != 0 ? enable_paging(cpu) : disable_paging(cpu);
        if (!switched) return cpu.raise_gp(op);
    }
    const bool reload = (changed & (x86::kCr0Pg | x86::kCr0Cd | x86::kCr0Nw)) != 0;
    if (reload && is_pae(cpu, value, cpu.cr4) && !cpu.load_pdptes(cpu.cr3)) {
        cpu.msr.efer = old_efer;
        return cpu.raise_gp(op);
    }
    cpu.cr0 = value;
    if ((changed & (x86::kCr0Pg | x86::kCr0Wp | x86::kCr0Pe)) != 0) cpu.flush_tlb();
    cpu.mode_changed();
    return true;
}

// The TLB keeps no PCIDs apart and forgets all but global pages, which bit 63 allows (Intel SDM
// vol. 3 section 4.10.4.1); what is known of code is kept for each PCID.
bool write_cr3(Cpu& cpu, const Op* op, uint64_t value) {
    bool keep = false;
    if (cpu.long_mode()) {
        if ((cpu.cr4 & x86::kCr4Pcide) != 0) {
            keep = (value & kNoFlush) != 0;
            value &= ~kNoFlush;
        }
        if ((value & mask(63, cpu.model.physical_address_bits())) != 0) return cpu.raise_gp(op);
    } else if (is_pae(cpu, cpu.cr0, cpu.cr4) && !cpu.load_pdptes(value)) {
        return cpu.raise_gp(op);
    }
    cpu.cr3 = value;
    cpu.switch_address_space(keep);
    return true;
}

uint64_t cr4_valid_bits(const Cpu& cpu) {
    const CpuModel& model = cpu.model;
    uint64_t bits = x86::kCr4Tsd | x86::kCr4De | x86::kCr4Pse | x86::kCr4Pae | x86::kCr4Mce |
                    x86::kCr4Pge | x86::kCr4Pce | x86::kCr4OsFxsr | x86::kCr4OsXmmExcpt;
    if (model.has(Feature::umip)) bits |= x86::kCr4Umip;
    if (model.has(Feature::fsgsbase)) bits |= x86::kCr4FsGsBase;
    if (model.has(Feature::pcid)) bits |= x86::kCr4Pcide;
    if (model.has(Feature::xsave)) bits |= x86::kCr4OsXsave;
    if (model.has(Feature::smep)) bits |= x86::kCr4Smep;
    if (model.has(Feature::smap)) bits |= x86::kCr4Smap;
    return bits;
}

bool write_cr4(Cpu& cpu, const Op* op, uint64_t value) {
    if ((value & ~cr4_valid_bits(cpu)) != 0) return cpu.raise_gp(op);
    const uint64_t changed = value ^ cpu.cr4;
    if (cpu.long_mode() && (value & x86::kCr4Pae) == 0) return cpu.raise_gp(op);
    const bool pcid_on = (changed & value & x86::kCr4Pcide) != 0;
    if (pcid_on && (!cpu.long_mode() || (cpu.cr3 & kPcidMask) != 0)) return cpu.raise_gp(op);
    const bool reload =
        (changed & (x86::kCr4Pae | x86::kCr4Pge | x86::kCr4Pse | x86::kCr4Smep)) != 0;
    if (reload && is_pae(cpu, cpu.cr0, value) && !cpu.load_pdptes(cpu.cr3)) return cpu.raise_gp(op);
    cpu.cr4 = value;
    constexpr uint64_t kPaging =
        x86::kCr4Pse | x86::kCr4Pae | x86::kCr4Pge | x86::kCr4Pcide | x86::kCr4Smep | x86::kCr4Smap;
    if ((changed & kPaging) != 0) cpu.flush_tlb();
    cpu.mode_changed();
    return true;
}

namespace {

uint64_t source_value(const Cpu& cpu, const Op* op) {
    return cpu.code64() ? cpu.get<uint64_t>(op->destination) : cpu.get<uint32_t>(op->destination);
}

bool write_cr8(Cpu& cpu, const Op* op, uint64_t value) {
    if (value > 15) return cpu.raise_gp(op);
    if (cpu.wiring.interrupts != nullptr)
        cpu.wiring.interrupts->write_cr8(static_cast<uint8_t>(value));
    return true;
}

template <unsigned kNumber>
void op_write_cr(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    const uint64_t value = source_value(cpu, op);
    bool written = true;
    const uint64_t next = cpu.next_rip(op);
    if constexpr (kNumber == 0) written = write_cr0(cpu, op, value);
    if constexpr (kNumber == 2) cpu.cr2 = value;
    if constexpr (kNumber == 3) written = write_cr3(cpu, op, value);
    if constexpr (kNumber == 4) written = write_cr4(cpu, op, value);
    if constexpr (kNumber == 8) written = write_cr8(cpu, op, value);
    if (written) cpu.rip = next;
    Cpu::serialise();
}

template <unsigned kNumber>
void op_read_cr(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    uint64_t value = 0;
    if constexpr (kNumber == 0) value = cpu.cr0;
    if constexpr (kNumber == 2) value = cpu.cr2;
    if constexpr (kNumber == 3) value = cpu.cr3;
    if constexpr (kNumber == 4) value = cpu.cr4;
    if constexpr (kNumber == 8)
        value = cpu.wiring.interrupts != nullptr ? cpu.wiring.interrupts->read_cr8() : 0;
    if (cpu.code64()) {
        cpu.set<uint64_t>(op->destination, value);
    } else {
        cpu.set<uint32_t>(op->destination, static_cast<uint32_t>(value));
    }
    NEXT(cpu, op);
}

// LMSW reaches PE, MP, EM and TS, and cannot clear PE.
void op_lmsw(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    uint16_t word;
    if (op->has(Op::kHasMemory)) {
        if (!cpu.read(op, word)) return;
    } else {
        word = cpu.get<uint16_t>(op->destination);
    }
    const uint64_t kept = cpu.cr0 & ~uint64_t{x86::kCr0Mp | x86::kCr0Em | x86::kCr0Ts};
    const uint64_t next = cpu.next_rip(op);
    if (write_cr0(cpu, op, kept | (word & 0xFU))) cpu.rip = next;
}

bool may_read_msw(Cpu& cpu, const Op* op) {
    return (cpu.cr4 & x86::kCr4Umip) == 0 || cpu.cpl == 0 || cpu.raise_gp(op);
}

template <class T>
void op_smsw_register(Cpu& cpu, const Op* op) {
    if (!may_read_msw(cpu, op)) return;
    cpu.set<T>(op->destination, static_cast<T>(cpu.cr0));
    NEXT(cpu, op);
}

void op_smsw_memory(Cpu& cpu, const Op* op) {
    if (!may_read_msw(cpu, op) || !cpu.write(op, static_cast<uint16_t>(cpu.cr0))) return;
    NEXT(cpu, op);
}

void op_clts(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    cpu.cr0 &= ~uint64_t{x86::kCr0Ts};
    cpu.finish(op);
    cpu.mode_changed();
}

Handler select_write(ZydisRegister reg) {
    switch (reg) {
        case ZYDIS_REGISTER_CR0: return op_write_cr<0>;
        case ZYDIS_REGISTER_CR2: return op_write_cr<2>;
        case ZYDIS_REGISTER_CR3: return op_write_cr<3>;
        case ZYDIS_REGISTER_CR4: return op_write_cr<4>;
        case ZYDIS_REGISTER_CR8: return op_write_cr<8>;
        default: return nullptr;
    }
}

Handler select_read(ZydisRegister reg) {
    switch (reg) {
        case ZYDIS_REGISTER_CR0: return op_read_cr<0>;
        case ZYDIS_REGISTER_CR2: return op_read_cr<2>;
        case ZYDIS_REGISTER_CR3: return op_read_cr<3>;
        case ZYDIS_REGISTER_CR4: return op_read_cr<4>;
        case ZYDIS_REGISTER_CR8: return op_read_cr<8>;
        default: return nullptr;
    }
}

Handler select_smsw(const Op& op) {
    if (op.has(Op::kHasMemory)) return op_smsw_memory;
    switch (op.operand_size) {
        case 2: return op_smsw_register<uint16_t>;
        case 4: return op_smsw_register<uint32_t>;
        default: return op_smsw_register<uint64_t>;
    }
}

}  // namespace

Handler select_control_registers(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_MOV: break;
        case ZYDIS_MNEMONIC_SMSW: return select_smsw(op);
        case ZYDIS_MNEMONIC_LMSW: op.bits |= Op::kEndsBlock; return op_lmsw;
        case ZYDIS_MNEMONIC_CLTS: op.bits |= Op::kEndsBlock; return op_clts;
        default: return nullptr;
    }
    const Handler write = select_write(register_of(decoded.operands[0]));
    if (write != nullptr) op.bits |= Op::kEndsBlock;
    return write != nullptr ? write : select_read(register_of(decoded.operands[1]));
}

}  // namespace banyan::interp
