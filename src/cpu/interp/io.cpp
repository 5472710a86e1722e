// IN, OUT, INS, OUTS. Source: Intel SDM vol. 1 chapter 19, vol. 2.
#include "cpu/interp/debug.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

constexpr unsigned kIterationsAtOnce =
    64;                                 // of a repeated instruction, before events are looked at
constexpr uint32_t kBitmapBase = 0x66;  // field of the 32-bit and the 64-bit TSS

// The bitmap's two bytes are read together even if one would do: section 19.5.2.
bool bitmap_allows(Cpu& cpu, const Op* op, uint16_t port, unsigned size) {
    const x86::SegmentRegister& tr = cpu.tr;
    const bool wide = (tr.attributes.get<x86::Attributes::Type>() & 8U) != 0;
    if (!tr.usable() || !wide || tr.limit < kBitmapBase + 1) return cpu.raise_gp(op);
    uint16_t start;
    if (!cpu.read_system(op, tr.base + kBitmapBase, start)) return false;
    const uint32_t at = start + port / 8U;
    if (at + 1 > tr.limit) return cpu.raise_gp(op);
    uint16_t bits;
    if (!cpu.read_system(op, tr.base + at, bits)) return false;
    const unsigned wanted = ((1U << size) - 1) << (port & 7U);
    return (bits & wanted) == 0 || cpu.raise_gp(op);
}

bool may_access(Cpu& cpu, const Op* op, uint16_t port, unsigned size) {
    if (!cpu.protected_mode() || (cpu.cpl <= cpu.iopl() && !cpu.vm86())) return true;
    return bitmap_allows(cpu, op, port, size);
}

uint32_t port_in(Cpu& cpu, uint16_t port, unsigned size) {
    note_port_access(cpu, port, size);
    return cpu.wiring.io->port_read(port, size);
}

void port_out(Cpu& cpu, uint16_t port, unsigned size, uint32_t value) {
    note_port_access(cpu, port, size);
    cpu.wiring.io->port_write(port, size, value);
}

// op->immediate: the port; with kDx it is in DX.
template <class T, bool kDx>
void op_in(Cpu& cpu, const Op* op) {
    const uint16_t port =
        kDx ? cpu.get<uint16_t>(x86::kRdx * 8) : static_cast<uint16_t>(op->immediate);
    if (!may_access(cpu, op, port, sizeof(T))) return;
    cpu.set<T>(kAl, static_cast<T>(port_in(cpu, port, sizeof(T))));
    cpu.finish(op);
}

template <class T, bool kDx>
void op_out(Cpu& cpu, const Op* op) {
    const uint16_t port =
        kDx ? cpu.get<uint16_t>(x86::kRdx * 8) : static_cast<uint16_t>(op->immediate);
    if (!may_access(cpu, op, port, sizeof(T))) return;
    port_out(cpu, port, sizeof(T), cpu.get<T>(kAl));
    cpu.finish(op);
}

// RCX, RSI and RDI change as wide as the address is; 32 bits clear the upper half.
void set_register(Cpu& cpu, const Op* op, x86::Gpr gpr, uint64_t value) {
    uint64_t& target = cpu.gpr[gpr];
    target = op->has(Op::kAddress16) ? (target & ~uint64_t{0xFFFF}) | (value & 0xFFFF)
                                     : value & op->address_mask();
}

void advance(Cpu& cpu, const Op* op, x86::Gpr gpr, unsigned size) {
    const uint64_t step = cpu.flag(x86::kDf) ? uint64_t{0} - size : size;
    set_register(cpu, op, gpr, cpu.gpr[gpr] + step);
}

// The destination is checked before the port is read: reading a port cannot be taken back.
template <class T>
bool in_once(Cpu& cpu, const Op* op) {
    const uint16_t port = cpu.get<uint16_t>(x86::kRdx * 8);
    const uint64_t offset = cpu.gpr[x86::kRdi] & op->address_mask();
    uint64_t linear;
    if (!may_access(cpu, op, port, sizeof(T))) return false;
    if (!cpu.segment_address(op, x86::kEs, offset, sizeof(T), Access::write, linear)) return false;
    if (!cpu.probe(op, linear, sizeof(T), Access::write, cpu.view)) return false;
    if (!cpu.write_linear(op, linear, static_cast<T>(port_in(cpu, port, sizeof(T))))) return false;
    advance(cpu, op, x86::kRdi, sizeof(T));
    return true;
}

template <class T>
bool out_once(Cpu& cpu, const Op* op) {
    const uint16_t port = cpu.get<uint16_t>(x86::kRdx * 8);
    T value;
    if (!may_access(cpu, op, port, sizeof(T))) return false;
    const uint64_t offset = cpu.gpr[x86::kRsi] & op->address_mask();
    if (!cpu.read_segment(op, static_cast<x86::Segment>(op->segment), offset, value)) return false;
    port_out(cpu, port, sizeof(T), value);
    advance(cpu, op, x86::kRsi, sizeof(T));
    return true;
}

template <class T, bool kIn>
bool transfer_once(Cpu& cpu, const Op* op) {
    if constexpr (kIn) return in_once<T>(cpu, op);
    return out_once<T>(cpu, op);
}

template <class T, bool kIn>
void op_string(Cpu& cpu, const Op* op) {
    if (transfer_once<T, kIn>(cpu, op)) cpu.finish(op);
}

// Each iteration is complete in itself: a fault, or the end of the chunk, leaves RIP at the
// instruction and the registers where they are, so that it goes on with the rest. Single step stops
// after each.
template <class T, bool kIn>
void op_repeated_string(Cpu& cpu, const Op* op) {
    const unsigned chunk = cpu.mode.has(Mode::kOneInstruction) ? 1 : kIterationsAtOnce;
    for (unsigned i = 0; i < chunk; ++i) {
        const uint64_t left = cpu.gpr[x86::kRcx] & op->address_mask();
        if (left == 0) break;
        if (!transfer_once<T, kIn>(cpu, op)) return;
        set_register(cpu, op, x86::kRcx, left - 1);
    }
    if ((cpu.gpr[x86::kRcx] & op->address_mask()) == 0) {
        cpu.finish(op);
        return;
    }
    cpu.debug.repeating = true;
    cpu.rip = cpu.rip_of(op);
}

template <bool kIn>
Handler select_string(const Op& op, unsigned size) {
    const bool repeated = op.has(Op::kRep) || op.has(Op::kRepne);
    switch (size) {
        case 1: return repeated ? op_repeated_string<uint8_t, kIn> : op_string<uint8_t, kIn>;
        case 2: return repeated ? op_repeated_string<uint16_t, kIn> : op_string<uint16_t, kIn>;
        default: return repeated ? op_repeated_string<uint32_t, kIn> : op_string<uint32_t, kIn>;
    }
}

// The memory operand is implicit, so the general rules have not seen it.
void set_address(const Decoded& decoded, Op& op) {
    const ZydisDecodedInstruction& instruction = decoded.instruction;
    if (instruction.address_width == 16) op.bits |= Op::kAddress16;
    if (instruction.address_width == 32) op.bits |= Op::kAddress32;
    op.segment = x86::kDs;
    const ZydisInstructionAttributes attributes = instruction.attributes;
    if ((attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES) != 0) op.segment = x86::kEs;
    if ((attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS) != 0) op.segment = x86::kCs;
    if ((attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS) != 0) op.segment = x86::kSs;
    if ((attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0) op.segment = x86::kFs;
    if ((attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) != 0) op.segment = x86::kGs;
}

template <bool kDx>
Handler select_single(bool in, unsigned size) {
    switch (size) {
        case 1: return in ? op_in<uint8_t, kDx> : op_out<uint8_t, kDx>;
        case 2: return in ? op_in<uint16_t, kDx> : op_out<uint16_t, kDx>;
        default: return in ? op_in<uint32_t, kDx> : op_out<uint32_t, kDx>;
    }
}

Handler select_in_out(const Decoded& decoded, Op& op, bool in) {
    const ZydisDecodedOperand& port = decoded.operands[in ? 1 : 0];
    const unsigned size = decoded.operands[in ? 0 : 1].size / 8U;
    if (port.type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return select_single<true>(in, size);
    op.immediate = port.imm.value.u & 0xFF;
    return select_single<false>(in, size);
}

}  // namespace

Handler select_ports(const Decoded& decoded, Op& op) {
    Handler handler = nullptr;
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_IN: handler = select_in_out(decoded, op, true); break;
        case ZYDIS_MNEMONIC_OUT: handler = select_in_out(decoded, op, false); break;
        case ZYDIS_MNEMONIC_INSB: handler = select_string<true>(op, 1); break;
        case ZYDIS_MNEMONIC_INSW: handler = select_string<true>(op, 2); break;
        case ZYDIS_MNEMONIC_INSD: handler = select_string<true>(op, 4); break;
        case ZYDIS_MNEMONIC_OUTSB: handler = select_string<false>(op, 1); break;
        case ZYDIS_MNEMONIC_OUTSW: handler = select_string<false>(op, 2); break;
        case ZYDIS_MNEMONIC_OUTSD: handler = select_string<false>(op, 4); break;
        default: return nullptr;
    }
    set_address(decoded, op);
    op.bits |= Op::kEndsBlock;
    return handler;
}

}  // namespace banyan::interp
