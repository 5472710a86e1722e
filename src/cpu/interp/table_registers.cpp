// LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, LMSW and SMSW's neighbours. Source: Intel SDM
// vol. 2.
#include "cpu/interp/segments.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

// CR4.UMIP keeps user programs from learning where the kernel's tables are: Intel SDM vol. 3
// section 2.5.
bool may_store(Cpu& cpu, const Op* op) {
    return (cpu.cr4 & x86::kCr4Umip) == 0 || cpu.cpl == 0 || cpu.raise_gp(op);
}

template <x86::TableRegister Cpu::*kTable>
void op_load_table(Cpu& cpu, const Op* op) {
    if (!require_cpl0(cpu, op)) return;
    x86::TableRegister table;
    if (!cpu.read(op, table.limit)) return;
    if (cpu.code64()) {
        if (!cpu.read(op, table.base, 2)) return;
    } else {
        uint32_t base;
        if (!cpu.read(op, base, 2)) return;
        table.base = op->operand_size == 2 ? base & 0xFFFFFF : base;
    }
    if (!is_canonical(table.base)) {
        cpu.raise_gp(op);
        return;
    }
    cpu.*kTable = table;
    cpu.finish_serialising(op);
}

// The base is stored whole, whatever the operand size: Intel SDM vol. 2 "SGDT", for all processors
// since the 386.
template <x86::TableRegister Cpu::*kTable>
void op_store_table(Cpu& cpu, const Op* op) {
    if (!may_store(cpu, op)) return;
    const x86::TableRegister& table = cpu.*kTable;
    struct [[gnu::packed]] Image {
        uint16_t limit;
        uint64_t base;
    };
    const Image image{table.limit, table.base};
    const unsigned size = cpu.code64() ? 10 : 6;
    uint64_t linear;
    if (!cpu.segment_address(op, static_cast<x86::Segment>(op->segment), cpu.effective_address(op),
                             size, Access::write, linear)) {
        return;
    }
    if (!cpu.write_slow(op, linear, &image, size, cpu.view)) return;
    NEXT(cpu, op);
}

bool read_selector(Cpu& cpu, const Op* op, uint16_t& selector) {
    if (op->has(Op::kHasMemory)) return cpu.read(op, selector);
    selector = cpu.get<uint16_t>(op->destination);
    return true;
}

void op_lldt(Cpu& cpu, const Op* op) {
    uint16_t selector;
    x86::SegmentRegister ldt;
    if (!require_cpl0(cpu, op) || !read_selector(cpu, op, selector)) return;
    if (!prepare_ldt(cpu, {.op = op}, selector, ldt)) return;
    cpu.ldtr = ldt;
    cpu.finish_serialising(op);
}

bool prepare_tss(Cpu& cpu, const Loading& by, uint16_t selector, DescriptorEntry& entry) {
    if (is_null(selector)) return cpu.raise_gp(by.op);
    if ((selector & 4U) != 0) return by.fail(cpu, selector);
    if (!read_descriptor(cpu, by, selector, entry)) return false;
    const x86::SystemType type = entry.low.system_type();
    const bool good = type == x86::SystemType::tss_available ||
                      (type == x86::SystemType::tss16_available && !cpu.long_mode());
    if (!entry.is_system() || !good) return by.fail(cpu, selector);
    if (!read_high_half(cpu, by, selector, entry)) return false;
    if (!entry.present()) return by.fail(cpu, x86::Vector::np, selector);
    return is_canonical(entry.base()) || by.fail(cpu, selector);
}

void op_ltr(Cpu& cpu, const Op* op) {
    uint16_t selector;
    DescriptorEntry entry;
    if (!require_cpl0(cpu, op) || !read_selector(cpu, op, selector)) return;
    if (!prepare_tss(cpu, {.op = op}, selector, entry) || !mark_busy(cpu, op, entry.linear, true))
        return;
    cpu.tr = entry.low.to_register(selector);
    cpu.tr.base = entry.base();
    cpu.tr.attributes.raw |= 2;  // busy
    cpu.finish_serialising(op);
}

template <class T, x86::SegmentRegister Cpu::*kRegister>
void op_store_register(Cpu& cpu, const Op* op) {
    if (!may_store(cpu, op)) return;
    cpu.set<T>(op->destination, (cpu.*kRegister).selector);
    NEXT(cpu, op);
}

template <x86::SegmentRegister Cpu::*kRegister>
void op_store_memory(Cpu& cpu, const Op* op) {
    if (!may_store(cpu, op) || !cpu.write(op, (cpu.*kRegister).selector)) return;
    NEXT(cpu, op);
}

template <x86::SegmentRegister Cpu::*kRegister>
Handler select_store(const Op& op) {
    if (op.has(Op::kHasMemory)) return op_store_memory<kRegister>;
    switch (op.operand_size) {
        case 2: return op_store_register<uint16_t, kRegister>;
        case 4: return op_store_register<uint32_t, kRegister>;
        default: return op_store_register<uint64_t, kRegister>;
    }
}

Handler select_selector_register(ZydisMnemonic mnemonic, Op& op) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_LLDT: op.bits |= Op::kEndsBlock; return op_lldt;
        case ZYDIS_MNEMONIC_LTR: op.bits |= Op::kEndsBlock; return op_ltr;
        case ZYDIS_MNEMONIC_SLDT: return select_store<&Cpu::ldtr>(op);
        case ZYDIS_MNEMONIC_STR: return select_store<&Cpu::tr>(op);
        default: return nullptr;
    }
}

}  // namespace

Handler select_table_registers(const Decoded& decoded, Op& op) {
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_LGDT: op.bits |= Op::kEndsBlock; return op_load_table<&Cpu::gdtr>;
        case ZYDIS_MNEMONIC_LIDT: op.bits |= Op::kEndsBlock; return op_load_table<&Cpu::idtr>;
        case ZYDIS_MNEMONIC_SGDT: return op_store_table<&Cpu::gdtr>;
        case ZYDIS_MNEMONIC_SIDT: return op_store_table<&Cpu::idtr>;
        default: break;
    }
    const Handler handler = select_selector_register(decoded.instruction.mnemonic, op);
    if (handler == nullptr) return nullptr;
    const bool selectors = decoded.mode.has(Mode::kProtected) && !decoded.mode.has(Mode::kVm86);
    return selectors ? handler : op_undefined;
}

}  // namespace banyan::interp
