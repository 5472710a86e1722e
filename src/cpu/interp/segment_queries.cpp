// LAR, LSL, VERR, VERW, ARPL: questions about selectors that never fault on a bad one. Source:
// Intel SDM vol. 2.
#include "cpu/interp/segments.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

bool read_selector(Cpu& cpu, const Op* op, uint8_t register_operand, uint16_t& selector) {
    if (op->has(Op::kHasMemory)) return cpu.read(op, selector);
    selector = cpu.get<uint16_t>(register_operand);
    return true;
}

enum class Query : uint8_t { access_rights, limit };

// The system descriptors that LAR and LSL tell about: tables in their descriptions.
bool system_type_visible(const Cpu& cpu, Query query, const DescriptorEntry& entry) {
    const unsigned type = entry.attributes().get<x86::Attributes::Type>();
    constexpr unsigned kSegments = 1U << 1 | 1U << 2 | 1U << 3 | 1U << 9 | 1U << 11;
    constexpr unsigned kGates = 1U << 4 | 1U << 5 | 1U << 12;
    constexpr unsigned kLongSegments = 1U << 2 | 1U << 9 | 1U << 11;
    constexpr unsigned kLongGates = 1U << 12;
    unsigned visible = cpu.long_mode() ? kLongSegments : kSegments;
    if (query == Query::access_rights) visible |= cpu.long_mode() ? kLongGates : kGates;
    return (visible >> type & 1U) != 0;
}

// False: a fault is pending. `visible` says whether the selector may be asked about.
bool look_up(Cpu& cpu, const Op* op, uint16_t selector, DescriptorEntry& entry, bool& found) {
    found = locate_descriptor(cpu, selector, 8, entry.linear);
    return !found || cpu.read_system(op, entry.linear, entry.low.raw);
}

bool is_visible(const Cpu& cpu, Query query, uint16_t selector, const DescriptorEntry& entry) {
    uint64_t whole;
    const bool wide_system = cpu.long_mode() && entry.is_system();
    if (wide_system && !locate_descriptor(cpu, selector, 16, whole)) return false;
    if (entry.is_system() && !system_type_visible(cpu, query, entry)) return false;
    const uint8_t rpl = selector & 3U;
    return entry.is_conforming() || (cpu.cpl <= entry.dpl() && rpl <= entry.dpl());
}

template <class T, Query kQuery>
void op_query(Cpu& cpu, const Op* op) {
    uint16_t selector;
    if (!read_selector(cpu, op, op->source, selector)) return;
    DescriptorEntry entry;
    bool found;
    if (!look_up(cpu, op, selector, entry, found)) return;
    found = found && is_visible(cpu, kQuery, selector, entry);
    if (found) {
        const uint32_t rights = static_cast<uint32_t>(entry.low.raw >> 32) & 0x00FFFF00;
        const uint32_t answer = kQuery == Query::limit ? entry.low.limit() : rights;
        cpu.set<T>(op->destination, static_cast<T>(answer));
    }
    cpu.arith = with_zf(cpu.arith, found);
    NEXT(cpu, op);
}

template <bool kWrite>
void op_verify(Cpu& cpu, const Op* op) {
    uint16_t selector;
    if (!read_selector(cpu, op, op->destination, selector)) return;
    DescriptorEntry entry;
    bool found;
    if (!look_up(cpu, op, selector, entry, found)) return;
    const uint8_t rpl = selector & 3U;
    const bool kind = kWrite ? entry.is_writable_data() : entry.is_readable();
    const bool privileged =
        (!kWrite && entry.is_conforming()) || (cpu.cpl <= entry.dpl() && rpl <= entry.dpl());
    cpu.arith = with_zf(cpu.arith, found && kind && privileged);
    NEXT(cpu, op);
}

uint16_t raise_rpl(uint16_t selector, uint16_t by) {
    const unsigned rpl = by & 3U;
    return (selector & 3U) < rpl ? static_cast<uint16_t>((selector & 0xFFFCU) | rpl) : selector;
}

// Written back even when the RPL was high enough, as processors do.
void op_arpl_memory(Cpu& cpu, const Op* op) {
    const uint16_t by = cpu.get<uint16_t>(op->destination);
    bool raised = false;
    const auto adjust = [&](uint16_t selector) {
        const uint16_t result = raise_rpl(selector, by);
        raised = result != selector;
        return result;
    };
    if (!cpu.modify<uint16_t>(op, adjust)) return;
    cpu.arith = with_zf(cpu.arith, raised);
    NEXT(cpu, op);
}

void op_arpl_register(Cpu& cpu, const Op* op) {
    const uint16_t selector = cpu.get<uint16_t>(op->destination);
    const uint16_t result = raise_rpl(selector, cpu.get<uint16_t>(op->source));
    cpu.set<uint16_t>(op->destination, result);
    cpu.arith = with_zf(cpu.arith, result != selector);
    NEXT(cpu, op);
}

template <Query kQuery>
Handler select_query(const Op& op) {
    switch (op.operand_size) {
        case 2: return op_query<uint16_t, kQuery>;
        case 4: return op_query<uint32_t, kQuery>;
        default: return op_query<uint64_t, kQuery>;
    }
}

}  // namespace

Handler select_segment_queries(const Decoded& decoded, Op& op) {
    Handler handler = nullptr;
    switch (decoded.instruction.mnemonic) {
        case ZYDIS_MNEMONIC_LAR: handler = select_query<Query::access_rights>(op); break;
        case ZYDIS_MNEMONIC_LSL: handler = select_query<Query::limit>(op); break;
        case ZYDIS_MNEMONIC_VERR: handler = op_verify<false>; break;
        case ZYDIS_MNEMONIC_VERW: handler = op_verify<true>; break;
        case ZYDIS_MNEMONIC_ARPL:
            handler = op.has(Op::kHasMemory) ? op_arpl_memory : op_arpl_register;
            break;
        default: return nullptr;
    }
    // Selectors are only numbers in real and virtual-8086 mode.
    const bool selectors = decoded.mode.has(Mode::kProtected) && !decoded.mode.has(Mode::kVm86);
    return selectors ? handler : op_undefined;
}

}  // namespace banyan::interp
