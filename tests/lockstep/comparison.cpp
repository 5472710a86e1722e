#include "lockstep/comparison.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "lockstep/masks.hpp"

namespace banyan::lockstep {

namespace {

constexpr unsigned kMaxDifferences = 24;  // of memory, that are named

class Report {
public:
    void compare(const std::string& name, uint64_t a, uint64_t b) {
        if (a == b) return;
        ++count_;
        if (count_ > kMaxDifferences) return;
        char line[160];
        std::snprintf(line, sizeof(line), "    %s: %" PRIx64 ", %" PRIx64 "\n", name.c_str(), a, b);
        text_ += line;
    }
    void add(const std::string& line) { text_ += line; }
    std::string text() const {
        if (count_ <= kMaxDifferences) return text_;
        return text_ + "    and " + std::to_string(count_ - kMaxDifferences) + " more\n";
    }

private:
    std::string text_;
    unsigned count_ = 0;
};

void compare_segment(Report& report, const std::string& name, const x86::SegmentRegister& a,
                     const x86::SegmentRegister& b) {
    report.compare(name + ".selector", a.selector, b.selector);
    report.compare(name + ".attributes", a.attributes.raw, b.attributes.raw);
    report.compare(name + ".limit", a.limit, b.limit);
    report.compare(name + ".base", a.base, b.base);
}

void compare_segments(Report& report, const x86::RegisterState& a, const x86::RegisterState& b) {
    static constexpr const char* kNames[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (size_t i = 0; i < x86::kSegmentCount; ++i)
        compare_segment(report, kNames[i], a.segments[i], b.segments[i]);
    compare_segment(report, "ldtr", a.ldtr, b.ldtr);
    compare_segment(report, "tr", a.tr, b.tr);
    report.compare("gdtr.base", a.gdtr.base, b.gdtr.base);
    report.compare("gdtr.limit", a.gdtr.limit, b.gdtr.limit);
    report.compare("idtr.base", a.idtr.base, b.idtr.base);
    report.compare("idtr.limit", a.idtr.limit, b.idtr.limit);
}

void compare_system(Report& report, const x86::RegisterState& a, const x86::RegisterState& b) {
    report.compare("cr0", a.cr0, b.cr0);
    report.compare("cr2", a.cr2, b.cr2);
    report.compare("cr3", a.cr3, b.cr3);
    report.compare("cr4", a.cr4, b.cr4);
    report.compare("xcr0", a.xcr0, b.xcr0);
    for (size_t i = 0; i < a.dr.size(); ++i)
        report.compare("dr" + std::to_string(i), a.dr[i], b.dr[i]);
    report.compare("dr6", a.dr6, b.dr6);
    report.compare("dr7", a.dr7, b.dr7);
    report.compare("efer", a.msr.efer, b.msr.efer);
    report.compare("star", a.msr.star, b.msr.star);
    report.compare("lstar", a.msr.lstar, b.msr.lstar);
    report.compare("sfmask", a.msr.sfmask, b.msr.sfmask);
    report.compare("kernel_gs_base", a.msr.kernel_gs_base, b.msr.kernel_gs_base);
    report.compare("sysenter_eip", a.msr.sysenter_eip, b.msr.sysenter_eip);
    report.compare("pat", a.msr.pat, b.msr.pat);
    report.compare("tsc_offset", a.msr.tsc_offset, b.msr.tsc_offset);
    report.compare("tsc_aux", a.msr.tsc_aux, b.msr.tsc_aux);
    report.compare("interrupt shadow", a.events.interrupt_shadow, b.events.interrupt_shadow);
    report.compare("nmi blocked", a.events.nmi_blocked, b.events.nmi_blocked);
    report.compare("activity", static_cast<uint64_t>(a.activity),
                   static_cast<uint64_t>(b.activity));
}

std::string name_in_xsave(size_t offset) {
    static constexpr const char* kLegacy[] = {"fcw/fsw/ftw", "fip", "fdp", "mxcsr"};
    if (offset < 32) return kLegacy[offset / 8];
    if (offset < 160) return "st" + std::to_string((offset - 32) / 16);
    if (offset < 416) return "xmm" + std::to_string((offset - 160) / 16);
    if (offset < x86::kXsaveOpmaskOffset)
        return "ymmh" + std::to_string((offset - x86::kXsaveAvxOffset) / 16);
    if (offset < x86::kXsaveZmmHighOffset)
        return "k" + std::to_string((offset - x86::kXsaveOpmaskOffset) / 8);
    if (offset < x86::kXsaveHighZmmOffset)
        return "zmmh" + std::to_string((offset - x86::kXsaveZmmHighOffset) / 32);
    return "zmm" + std::to_string(16 + (offset - x86::kXsaveHighZmmOffset) / 64);
}

uint64_t xsave_part(const x86::RegisterState& state, size_t offset) {
    uint64_t value = 0;
    for (size_t i = 0; i < 8; ++i) {
        if (!xsave_ignored(offset + i))
            value |= static_cast<uint64_t>(state.xsave[offset + i]) << (8 * i);
    }
    return value;
}

std::string name_in_memory(uint64_t gpa) {
    struct Part {
        uint64_t start;
        const char* name;
    };
    static constexpr Part kParts[] = {{kLargePage, "large page"},
                                      {kScratchCode, "scratch code"},
                                      {kStack, "stack"},
                                      {kData, "data"},
                                      {kFlagMasks, "flag masks"},
                                      {kLengths, "lengths"},
                                      {kCode, "code"},
                                      {kLog, "exception log"},
                                      {kControl, "control page"},
                                      {kRootA, "page tables"},
                                      {kHandlers, "handlers"},
                                      {kInnerStack, "syscall stack"},
                                      {kPortStack, "RSP0 stack"},
                                      {kFaultStack, "other stacks"},
                                      {kFaultStack - kPage, "fault stack"},
                                      {kPerCpu, "per-CPU page"},
                                      {0, "tables"}};
    for (const Part& part : kParts) {
        if (gpa >= part.start) {
            char text[80];
            std::snprintf(text, sizeof(text), "%s + %" PRIx64, part.name, gpa - part.start);
            return text;
        }
    }
    return {};
}

}  // namespace

std::string compare_states(const x86::RegisterState& a, const x86::RegisterState& b) {
    static constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                             "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                             "r12", "r13", "r14", "r15"};
    Report report;
    for (size_t i = 0; i < a.gpr.size(); ++i)
        report.compare(kNames[i], a.gpr[i], b.gpr[i]);
    report.compare("rip", a.rip, b.rip);
    report.compare("rflags", a.rflags, b.rflags);
    compare_segments(report, a, b);
    compare_system(report, a, b);
    for (size_t offset = 0; offset < a.xsave.size(); offset += 8)
        report.compare(name_in_xsave(offset), xsave_part(a, offset), xsave_part(b, offset));
    return report.text();
}

std::string compare_memory(std::span<const std::byte> a, std::span<const std::byte> b) {
    Report report;
    for (uint64_t page = 0; page < a.size(); page += kPage) {
        if (std::memcmp(&a[page], &b[page], kPage) == 0) continue;
        for (uint64_t gpa = page; gpa < page + kPage; gpa += 8) {
            uint64_t first;
            uint64_t second;
            std::memcpy(&first, &a[gpa], 8);
            std::memcpy(&second, &b[gpa], 8);
            const uint64_t compared = ~memory_ignored(gpa);
            report.compare(name_in_memory(gpa), first & compared, second & compared);
        }
    }
    return report.text();
}

std::string compare_ports(const std::vector<PortAccess>& a, const std::vector<PortAccess>& b) {
    Report report;
    report.compare("port accesses", a.size(), b.size());
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        if (a[i] == b[i]) continue;
        const std::string name = "port access " + std::to_string(i);
        report.compare(name + ": port", a[i].port, b[i].port);
        report.compare(name + ": size", a[i].size, b[i].size);
        report.compare(name + ": value", a[i].value, b[i].value);
        report.compare(name + ": is a write", a[i].write, b[i].write);
        break;
    }
    return report.text();
}

}  // namespace banyan::lockstep
