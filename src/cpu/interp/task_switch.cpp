#include "cpu/interp/task_switch.hpp"

#include "cpu/interp/debug.hpp"
#include "cpu/interp/far_transfer.hpp"
#include "cpu/interp/stack_frame.hpp"
#include "cpu/interp/system.hpp"

namespace banyan::interp {

namespace {

constexpr std::array kTssSegments = {x86::kEs, x86::kCs, x86::kSs, x86::kDs, x86::kFs, x86::kGs};

// Where things stand in a TSS: Intel SDM vol. 3 figures 7-2 and 7-10. All elements are `width`
// bytes apart but the last fields of the 32-bit form.
struct Layout {
    unsigned width;
    unsigned size;
    unsigned ip;        // then FLAGS, the eight general registers, the segment registers
    unsigned segments;  // how many of them
    unsigned ldt;

    unsigned flags() const { return ip + width; }
    unsigned gpr(unsigned i) const { return ip + (2 + i) * width; }
    unsigned segment(unsigned i) const { return ip + (10 + i) * width; }
    unsigned state_end() const { return segment(segments); }
};
constexpr Layout kLayout16{.width = 2, .size = 44, .ip = 14, .segments = 4, .ldt = 42};
constexpr Layout kLayout32{.width = 4, .size = 104, .ip = 32, .segments = 6, .ldt = 96};
constexpr unsigned kCr3 = 28;
constexpr unsigned kTrapBit = 100;
constexpr uint64_t kDr7Local = 0x155;  // L0..L3, LE

using Image = std::array<std::byte, 104>;

bool is_wide(const x86::Attributes& attributes) {
    return (attributes.get<x86::Attributes::Type>() & 8U) != 0;
}
const Layout& layout_of(const x86::Attributes& attributes) {
    return is_wide(attributes) ? kLayout32 : kLayout16;
}

uint32_t field(const Image& image, unsigned offset, unsigned width) {
    uint32_t value = 0;
    std::memcpy(&value, image.data() + offset, width);
    return value;
}

void set_field(Image& image, unsigned offset, unsigned width, uint64_t value) {
    std::memcpy(image.data() + offset, &value, width);
}

bool read_new_task(Cpu& cpu, const TaskSwitch& change, DescriptorEntry& entry) {
    const bool back = change.source == TaskSource::iret;
    const Loading by{change.op, back ? x86::Vector::ts : x86::Vector::gp, change.external};
    if ((change.selector & 4U) != 0 || is_null(change.selector))
        return by.fail(cpu, change.selector);
    if (!read_descriptor(cpu, by, change.selector, entry)) return false;
    const unsigned type = entry.attributes().get<x86::Attributes::Type>();
    if (!entry.is_system() || (type & 7U) != (back ? 3U : 1U)) return by.fail(cpu, change.selector);
    if (!entry.present()) return by.fail(cpu, x86::Vector::np, change.selector);
    if (entry.low.limit() + 1U < layout_of(entry.attributes()).size) {
        return by.fail(cpu, x86::Vector::ts, change.selector);
    }
    return true;
}

// All memory that the switch writes, so that nothing is left half done: Intel SDM vol. 3
// section 7.3, step 6.
bool probe_memory(Cpu& cpu, const TaskSwitch& change, const DescriptorEntry& entry) {
    const View as = cpu.system_view();
    const Layout& old_layout = layout_of(cpu.tr.attributes);
    uint64_t old_descriptor;
    if (!locate_descriptor(cpu, cpu.tr.selector, 8, old_descriptor)) {
        return cpu.raise(change.op, x86::Vector::ts, (cpu.tr.selector & 0xFFFCU) | change.external);
    }
    return cpu.probe(change.op, cpu.tr.base + old_layout.ip, old_layout.state_end() - old_layout.ip,
                     Access::write, as) &&
           cpu.probe(change.op, entry.low.base(), 2, Access::write, as) &&
           cpu.probe(change.op, entry.linear, 8, Access::write, as) &&
           cpu.probe(change.op, old_descriptor, 8, Access::write, as);
}

bool save_old_task(Cpu& cpu, const TaskSwitch& change) {
    const Layout& layout = layout_of(cpu.tr.attributes);
    Image image;
    uint64_t flags = change.source == TaskSource::interrupt ? change.return_flags : cpu.rflags();
    if (change.source == TaskSource::iret) flags &= ~uint64_t{x86::kNt};
    set_field(image, layout.ip, layout.width, change.return_rip);
    set_field(image, layout.flags(), layout.width, flags);
    for (unsigned i = 0; i < 8; ++i)
        set_field(image, layout.gpr(i), layout.width, cpu.gpr[i]);
    for (unsigned i = 0; i < layout.segments; ++i) {
        set_field(image, layout.segment(i), layout.width, cpu.seg[kTssSegments[i]].selector);
    }
    return cpu.write_slow(change.op, cpu.tr.base + layout.ip, image.data() + layout.ip,
                          layout.state_end() - layout.ip, cpu.system_view());
}

// Busy bits and the back link: Intel SDM vol. 3 table 7-2.
bool link_tasks(Cpu& cpu, const TaskSwitch& change, const DescriptorEntry& entry) {
    const bool nested = change.source == TaskSource::call || change.source == TaskSource::interrupt;
    uint64_t old_descriptor;
    if (!nested && locate_descriptor(cpu, cpu.tr.selector, 8, old_descriptor) &&
        !mark_busy(cpu, change.op, old_descriptor, false)) {
        return false;
    }
    if (nested && !cpu.write_system(change.op, entry.low.base(), cpu.tr.selector)) return false;
    return change.source == TaskSource::iret || mark_busy(cpu, change.op, entry.linear, true);
}

void load_registers(Cpu& cpu, const TaskSwitch& change, const Layout& layout, const Image& image) {
    cpu.dr7 &= ~kDr7Local;
    uint32_t flags = field(image, layout.flags(), layout.width);
    if (change.source == TaskSource::call || change.source == TaskSource::interrupt)
        flags |= x86::kNt;
    cpu.set_rflags(flags);
    set_resume_flag(cpu, (flags & x86::kRf) != 0);
    cpu.rip = field(image, layout.ip, layout.width);
    for (unsigned i = 0; i < 8; ++i)
        cpu.gpr[i] = field(image, layout.gpr(i), layout.width);
    for (x86::SegmentRegister& segment : cpu.seg)
        segment = {};
    for (unsigned i = 0; i < layout.segments; ++i) {
        cpu.seg[kTssSegments[i]].selector =
            static_cast<uint16_t>(field(image, layout.segment(i), layout.width));
    }
    cpu.ldtr = {static_cast<uint16_t>(field(image, layout.ldt, 2)), {}, 0, 0};
    cpu.cpl = cpu.vm86() ? 3 : cpu.seg[x86::kCs].rpl();
    cpu.cr0 |= x86::kCr0Ts;
}

// From here on faults belong to the new task.
bool load_address_space(Cpu& cpu, const Image& image, bool wide) {
    if (!wide || !cpu.paging()) return true;
    const uint64_t cr3 = field(image, kCr3, 4);
    if ((cpu.cr4 & x86::kCr4Pae) != 0 && !cpu.load_pdptes(cr3)) return cpu.raise_gp(nullptr);
    cpu.cr3 = cr3;
    cpu.flush_tlb();
    return true;
}

bool load_code(Cpu& cpu, const Loading& by) {
    const uint16_t selector = cpu.seg[x86::kCs].selector;
    if (is_null(selector)) return by.fail(cpu, selector);
    DescriptorEntry entry;
    if (!read_descriptor(cpu, by, selector, entry)) return false;
    const bool allowed = entry.is_conforming() ? entry.dpl() <= cpu.cpl : entry.dpl() == cpu.cpl;
    if (!entry.is_code() || !allowed) return by.fail(cpu, selector);
    return prepare_code_segment(cpu, by, selector, cpu.cpl, entry, cpu.seg[x86::kCs]);
}

bool load_stack(Cpu& cpu, const Loading& by) {
    const uint16_t selector = cpu.seg[x86::kSs].selector;
    if (is_null(selector)) return by.fail(cpu, selector);
    return prepare_stack_segment(cpu, by, selector, cpu.cpl, cpu.seg[x86::kSs]);
}

bool load_segments(Cpu& cpu, const Loading& by) {
    if (!prepare_ldt(cpu, by, cpu.ldtr.selector, cpu.ldtr)) return false;
    if (cpu.vm86()) {
        for (const x86::Segment i : kTssSegments)
            cpu.seg[i] = real_segment(cpu, i, cpu.seg[i].selector);
        return true;
    }
    if (!load_code(cpu, by) || !load_stack(cpu, by)) return false;
    for (const x86::Segment i : {x86::kDs, x86::kEs, x86::kFs, x86::kGs}) {
        if (!prepare_data_segment(cpu, by, cpu.seg[i].selector, cpu.cpl, cpu.seg[i])) return false;
    }
    return true;
}

bool push_error(Cpu& cpu, const TaskSwitch& change, const Loading& by, unsigned width) {
    if (!change.has_error) return true;
    StackFrame frame(Stack::current(cpu), width);
    frame.push(change.error);
    if (!frame.write(cpu, by, 0)) return false;
    cpu.commit_rsp(frame.sp());
    return true;
}

bool enter_new_task(Cpu& cpu, const TaskSwitch& change, const Layout& layout, const Image& image) {
    const Loading by{nullptr, x86::Vector::ts, change.external};
    cpu.mode_changed();
    if (!load_address_space(cpu, image, layout.width == 4)) return false;
    const bool loaded = load_segments(cpu, by);
    cpu.mode_changed();
    if (!loaded || !push_error(cpu, change, by, layout.width)) return false;
    if (!check_target(cpu, by, cpu.seg[x86::kCs], cpu.rip)) return false;
    if (layout.width == 4 && (field(image, kTrapBit, 2) & 1U) != 0) raise_debug_trap(cpu, kDr6Bt);
    return true;
}

}  // namespace

bool switch_task(Cpu& cpu, const TaskSwitch& change) {
    DescriptorEntry entry;
    if (!read_new_task(cpu, change, entry) || !probe_memory(cpu, change, entry)) return false;
    const Layout& layout = layout_of(entry.attributes());
    Image image;
    if (!cpu.read_slow(change.op, entry.low.base(), image.data(), layout.size, cpu.system_view()))
        return false;
    if (!save_old_task(cpu, change) || !link_tasks(cpu, change, entry)) return false;
    cpu.tr = entry.low.to_register(change.selector);
    cpu.tr.attributes.raw |= 2;  // busy
    load_registers(cpu, change, layout, image);
    return enter_new_task(cpu, change, layout, image);
}

}  // namespace banyan::interp
