#include "cpu/interp/segments.hpp"

#include "cpu/interp/mode.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

constexpr uint8_t kAccessed = 1;
constexpr uint8_t kBusy = 2;
constexpr uint16_t kRealCode = 0x9B;  // present, code, readable, accessed
constexpr uint16_t kRealData = 0x93;  // present, data, writable, accessed
constexpr uint16_t kVm86Segment =
    0xF3;  // the same with DPL 3, for all six: Intel SDM vol. 3 section 26.3.1.2

bool change_type(Cpu& cpu, const Op* op, uint64_t linear, uint8_t set, uint8_t clear) {
    const ScopedView as_system(cpu, cpu.system_view());
    return cpu.modify_linear<uint8_t, true>(op, linear + 5, [=](uint8_t access) {
        return static_cast<uint8_t>((access | set) & ~clear);
    });
}

}  // namespace

// The type field of the second half must be 0, so that it is no legacy descriptor: AMD APM vol. 2
// section 4.8.3.
bool read_high_half(Cpu& cpu, const Loading& by, uint16_t selector, DescriptorEntry& entry) {
    if (!cpu.long_mode()) return true;
    uint64_t linear;
    if (!locate_descriptor(cpu, selector, 16, linear)) return by.fail(cpu, selector);
    if (!cpu.read_system(by.op, linear + 8, entry.high)) return false;
    if (((entry.high >> 40) & 0x1F) != 0) return by.fail(cpu, selector);
    entry.high &= 0xFFFFFFFF;
    return true;
}

bool set_accessed(Cpu& cpu, const Op* op, DescriptorEntry& entry) {
    if (!change_type(cpu, op, entry.linear, kAccessed, 0)) return false;
    entry.low.raw |= uint64_t{kAccessed} << 40;
    return true;
}

bool mark_busy(Cpu& cpu, const Op* op, uint64_t linear, bool busy) {
    return change_type(cpu, op, linear, busy ? kBusy : 0, busy ? 0 : kBusy);
}

// Intel SDM vol. 2 MOV, "Loading a segment register while in protected mode".
bool prepare_data_segment(Cpu& cpu, const Loading& by, uint16_t selector, uint8_t cpl,
                          x86::SegmentRegister& out) {
    if (is_null(selector)) {
        out = {selector, {}, 0, 0};
        return true;
    }
    DescriptorEntry entry;
    if (!read_descriptor(cpu, by, selector, entry)) return false;
    if (!entry.is_readable()) return by.fail(cpu, selector);
    if (!entry.is_conforming() && ((selector & 3U) > entry.dpl() || cpl > entry.dpl()))
        return by.fail(cpu, selector);
    if (!entry.present()) return by.fail(cpu, x86::Vector::np, selector);
    if (!mark_accessed(cpu, by.op, entry)) return false;
    out = entry.low.to_register(selector);
    return true;
}

bool prepare_stack_segment(Cpu& cpu, const Loading& by, uint16_t selector, uint8_t cpl,
                           x86::SegmentRegister& out) {
    DescriptorEntry entry;
    if (!read_descriptor(cpu, by, selector, entry)) return false;
    if ((selector & 3U) != cpl || !entry.is_writable_data() || entry.dpl() != cpl)
        return by.fail(cpu, selector);
    if (!entry.present()) return by.fail(cpu, x86::Vector::ss, selector);
    if (!mark_accessed(cpu, by.op, entry)) return false;
    out = entry.low.to_register(selector);
    return true;
}

bool prepare_ldt(Cpu& cpu, const Loading& by, uint16_t selector, x86::SegmentRegister& out) {
    if (is_null(selector)) {
        out = {selector, {}, 0, 0};
        return true;
    }
    if ((selector & 4U) != 0) return by.fail(cpu, selector);
    DescriptorEntry entry;
    if (!read_descriptor(cpu, by, selector, entry)) return false;
    if (!entry.is_system() || entry.low.system_type() != x86::SystemType::ldt)
        return by.fail(cpu, selector);
    if (!read_high_half(cpu, by, selector, entry)) return false;
    if (!entry.present()) {
        return by.fail(cpu, by.wrong == x86::Vector::ts ? x86::Vector::ts : x86::Vector::np,
                       selector);
    }
    if (!is_canonical(entry.base())) return by.fail(cpu, selector);
    out = entry.low.to_register(selector);
    out.base = entry.base();
    return true;
}

// Real mode leaves limit and size as they are, so that a program can keep what protected mode gave
// it ("unreal mode"); virtual-8086 mode fixes all of it.
x86::SegmentRegister real_segment(const Cpu& cpu, x86::Segment segment, uint16_t selector) {
    const uint64_t base = uint64_t{selector} << 4;
    if (cpu.vm86()) return {selector, {kVm86Segment}, 0xFFFF, base};
    const x86::SegmentRegister& old = cpu.seg[segment];
    const uint16_t type = segment == x86::kCs ? kRealCode : kRealData;
    if (!old.usable()) return {selector, {type}, 0xFFFF, base};
    return {
        selector, {static_cast<uint16_t>((old.attributes.raw & 0xF000U) | type)}, old.limit, base};
}

bool load_segment(Cpu& cpu, const Op* op, x86::Segment segment, uint16_t selector) {
    x86::SegmentRegister value;
    const Loading by{.op = op};
    if (!cpu.protected_mode() || cpu.vm86()) {
        value = real_segment(cpu, segment, selector);
    } else if (segment != x86::kSs) {
        if (!prepare_data_segment(cpu, by, selector, cpu.cpl, value)) return false;
    } else if (is_null(selector)) {
        // 64-bit code outside CPL 3 may have a null SS: Intel SDM vol. 3 section 5.4.1.1.
        if (!cpu.code64() || cpu.cpl == 3 || (selector & 3U) != cpu.cpl) return cpu.raise_gp(op);
        value = null_stack(selector, cpu.cpl);
    } else if (!prepare_stack_segment(cpu, by, selector, cpu.cpl, value)) {
        return false;
    }
    set_segment(cpu, segment, value);
    return true;
}

}  // namespace banyan::interp
