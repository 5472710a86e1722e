#include "vmm/register_dump.hpp"

#include <array>
#include <fmt/format.h>
#include <iterator>
#include <string_view>

namespace banyan {

namespace {

constexpr std::array<std::string_view, 16> kGprNames{"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                     "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                     "r12", "r13", "r14", "r15"};
constexpr std::array<std::string_view, x86::kSegmentCount> kSegmentNames{"es", "cs", "ss",
                                                                         "ds", "fs", "gs"};

}  // namespace

std::string format_registers(const x86::RegisterState& state) {
    std::string text;
    const auto out = std::back_inserter(text);
    for (size_t i = 0; i < kGprNames.size(); ++i) {
        fmt::format_to(out, "{}={:016x}{}", kGprNames[i], state.gpr[i], i % 4 == 3 ? '\n' : ' ');
    }
    fmt::format_to(out, "rip={:016x} rflags={:08x} efer={:x} xcr0={:x}\n", state.rip, state.rflags,
                   state.msr.efer, state.xcr0);
    for (size_t i = 0; i < kSegmentNames.size(); ++i) {
        const auto& segment = state.segments[i];
        fmt::format_to(out, "{}={:04x} base={:016x} limit={:08x}{}", kSegmentNames[i],
                       segment.selector, segment.base, segment.limit, i % 2 == 1 ? '\n' : ' ');
    }
    fmt::format_to(out, "gdt={:016x}:{:04x} idt={:016x}:{:04x} ldt={:04x} tr={:04x}\n",
                   state.gdtr.base, state.gdtr.limit, state.idtr.base, state.idtr.limit,
                   state.ldtr.selector, state.tr.selector);
    fmt::format_to(out, "cr0={:x} cr2={:x} cr3={:x} cr4={:x}", state.cr0, state.cr2, state.cr3,
                   state.cr4);
    return text;
}

}  // namespace banyan
