#include "control/gdb/registers.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>

namespace banyan::gdb {

namespace {

using x86::RegisterState;

// Places in the XSAVE area: Intel SDM vol. 1 table 10-2.
constexpr size_t kFcw = 0;
constexpr size_t kFsw = 2;
constexpr size_t kFtw = 4;
constexpr size_t kFop = 6;
constexpr size_t kFip = 8;
constexpr size_t kFcs = 12;
constexpr size_t kFdp = 16;
constexpr size_t kFds = 20;
constexpr size_t kMxcsr = 24;
constexpr size_t kSt = 32;
constexpr size_t kXmm = 160;
constexpr size_t kXmmEnd = kXmm + 256;
constexpr size_t kYmmHigh = x86::kXsaveAvxOffset;
constexpr size_t kPresent = x86::kXsaveLegacySize;  // XSTATE_BV
constexpr uint16_t kInitialFcw = 0x37F;
constexpr size_t kVector = 16;

// GDB's order, and the encoding's.
constexpr std::array<std::string_view, 16> kGeneralNames{"rax", "rbx", "rcx", "rdx", "rsi", "rdi",
                                                         "rbp", "rsp", "r8",  "r9",  "r10", "r11",
                                                         "r12", "r13", "r14", "r15"};
constexpr std::array<uint8_t, 16> kGeneral{
    x86::kRax, x86::kRbx, x86::kRcx, x86::kRdx, x86::kRsi, x86::kRdi, x86::kRbp, x86::kRsp,
    x86::kR8,  x86::kR9,  x86::kR10, x86::kR11, x86::kR12, x86::kR13, x86::kR14, x86::kR15};
constexpr std::array<std::string_view, 6> kSelectorNames{"cs", "ss", "ds", "es", "fs", "gs"};
constexpr std::array<uint8_t, 6> kSelectors{x86::kCs, x86::kSs, x86::kDs,
                                            x86::kEs, x86::kFs, x86::kGs};

enum X87Control : uint8_t { fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop };
constexpr std::array<std::string_view, 8> kX87ControlNames{"fctrl", "fstat", "ftag",  "fiseg",
                                                           "fioff", "foseg", "fooff", "fop"};

enum System : uint8_t { k_gs_base, cr0, cr2, cr3, cr4, cr8, efer };
struct SystemName {
    std::string_view name;
    std::string_view type;
};
constexpr std::array<SystemName, 7> kSystemNames{{{"k_gs_base", "int"},
                                                  {"cr0", "banyan_cr0"},
                                                  {"cr2", "data_ptr"},
                                                  {"cr3", "int"},
                                                  {"cr4", "banyan_cr4"},
                                                  {"cr8", "int"},
                                                  {"efer", "banyan_efer"}}};

std::string_view general_type(std::string_view name) {
    return name == "rsp" || name == "rbp" ? "data_ptr" : "int64";
}

std::vector<Register> list_registers() {
    std::vector<Register> list;
    const auto add = [&list](std::string name, RegisterKind kind, size_t index, uint8_t size,
                             std::string_view type, std::string_view group = {}) {
        list.push_back({std::move(name), kind, static_cast<uint8_t>(index), size, type, group});
    };
    for (size_t i = 0; i < kGeneral.size(); ++i)
        add(std::string(kGeneralNames[i]), RegisterKind::general, kGeneral[i], 8,
            general_type(kGeneralNames[i]));
    add("rip", RegisterKind::instruction_pointer, 0, 8, "code_ptr");
    add("eflags", RegisterKind::flags, 0, 4, "banyan_eflags");
    for (size_t i = 0; i < kSelectors.size(); ++i)
        add(std::string(kSelectorNames[i]), RegisterKind::selector, kSelectors[i], 4, "int32");
    for (size_t i = 0; i < 8; ++i)
        add(fmt::format("st{}", i), RegisterKind::x87, i, 10, "i387_ext");
    for (size_t i = 0; i < kX87ControlNames.size(); ++i)
        add(std::string(kX87ControlNames[i]), RegisterKind::x87_control, i, 4, "int", "float");
    for (size_t i = 0; i < 16; ++i)
        add(fmt::format("xmm{}", i), RegisterKind::xmm, i, kVector, "vec128");
    add("mxcsr", RegisterKind::mxcsr, 0, 4, "int", "vector");
    add("fs_base", RegisterKind::segment_base, x86::kFs, 8, "int");
    add("gs_base", RegisterKind::segment_base, x86::kGs, 8, "int");
    for (size_t i = 0; i < kSystemNames.size(); ++i)
        add(std::string(kSystemNames[i].name), RegisterKind::system, i, 8, kSystemNames[i].type,
            "system");
    for (size_t i = 0; i < 16; ++i)
        add(fmt::format("ymm{}h", i), RegisterKind::ymm_high, i, kVector, "uint128");
    return list;
}

template <class T>
T get_field(const RegisterState& state, size_t at) {
    T value;
    std::memcpy(&value, state.xsave.data() + at, sizeof(value));
    return value;
}
template <class T>
void put_field(RegisterState& state, size_t at, T value) {
    std::memcpy(state.xsave.data() + at, &value, sizeof(value));
}

void clear_fields(RegisterState& state, size_t begin, size_t end) {
    std::fill(state.xsave.begin() + static_cast<std::ptrdiff_t>(begin),
              state.xsave.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
}

// Before a register of the component is written: what the area holds of it counts from now on.
void write_out(RegisterState& state, x86::Xcr0 component) {
    const auto present = get_field<uint64_t>(state, kPresent);
    if ((present & component) != 0) return;
    put_field(state, kPresent, present | component);
    switch (component) {
        case x86::kXcr0X87:
            clear_fields(state, kFcw, kMxcsr);
            clear_fields(state, kSt, kXmm);
            put_field(state, kFcw, kInitialFcw);
            break;
        case x86::kXcr0Sse: clear_fields(state, kXmm, kXmmEnd); break;
        default: clear_fields(state, kYmmHigh, kYmmHigh + 16 * kVector); break;
    }
}

// The whole tag word from the saved one, which has a bit a register: Intel SDM vol. 1 section
// 10.5.1.1. Tags belong to physical registers, what is saved lies in order of the stack.
enum Tag : unsigned { valid, zero, special, empty };

Tag tag_of(const RegisterState& state, unsigned st) {
    const size_t at = kSt + st * size_t{kVector};
    const auto mantissa = get_field<uint64_t>(state, at);
    const unsigned exponent = get_field<uint16_t>(state, at + 8) & 0x7FFFU;
    if (exponent == 0x7FFF) return Tag::special;
    if (exponent == 0) return mantissa == 0 ? Tag::zero : Tag::special;
    return (mantissa >> 63) != 0 ? Tag::valid : Tag::special;
}

uint32_t tag_word(const RegisterState& state) {
    const unsigned top = get_field<uint16_t>(state, kFsw) >> 11 & 7U;
    const auto in_use = get_field<uint8_t>(state, kFtw);
    uint32_t word = 0;
    for (unsigned i = 0; i < 8; ++i) {
        const bool is_used = (in_use >> i & 1U) != 0;
        word |= (is_used ? tag_of(state, (i - top) & 7U) : Tag::empty) << (2 * i);
    }
    return word;
}

void set_tag_word(RegisterState& state, uint32_t word) {
    unsigned in_use = 0;
    for (unsigned i = 0; i < 8; ++i) {
        if ((word >> (2 * i) & 3U) != Tag::empty) in_use |= 1U << i;
    }
    put_field(state, kFtw, static_cast<uint8_t>(in_use));
}

uint32_t get_x87_control(const RegisterState& state, uint8_t index) {
    switch (index) {
        case fctrl: return get_field<uint16_t>(state, kFcw);
        case fstat: return get_field<uint16_t>(state, kFsw);
        case ftag: return tag_word(state);
        case fiseg: return get_field<uint16_t>(state, kFcs);
        case fioff: return get_field<uint32_t>(state, kFip);
        case foseg: return get_field<uint16_t>(state, kFds);
        case fooff: return get_field<uint32_t>(state, kFdp);
        default: return get_field<uint16_t>(state, kFop);
    }
}

void set_x87_control(RegisterState& state, uint8_t index, uint32_t value) {
    const auto low = static_cast<uint16_t>(value);
    switch (index) {
        case fctrl: return put_field(state, kFcw, low);
        case fstat: return put_field(state, kFsw, low);
        case ftag: return set_tag_word(state, value);
        case fiseg: return put_field(state, kFcs, low);
        case fioff: return put_field(state, kFip, value);
        case foseg: return put_field(state, kFds, low);
        case fooff: return put_field(state, kFdp, value);
        default: return put_field(state, kFop, low);
    }
}

uint64_t get_system(const RegisterState& state, uint8_t index) {
    switch (index) {
        case k_gs_base: return state.msr.kernel_gs_base;
        case cr0: return state.cr0;
        case cr2: return state.cr2;
        case cr3: return state.cr3;
        case cr4: return state.cr4;
        case cr8: return state.cr8;
        default: return state.msr.efer;
    }
}

// A control register means more than its value, and a selector a descriptor: they are for reading.
bool set_system(RegisterState& state, uint8_t index, uint64_t value) {
    if (index == k_gs_base) {
        state.msr.kernel_gs_base = value;
        return true;
    }
    if (index != cr2) return false;
    state.cr2 = value;
    return true;
}

uint64_t get_number(const RegisterState& state, const Register& reg) {
    switch (reg.kind) {
        case RegisterKind::general: return state.gpr[reg.index];
        case RegisterKind::instruction_pointer: return state.rip;
        case RegisterKind::flags: return state.rflags;
        case RegisterKind::selector: return state.segments[reg.index].selector;
        case RegisterKind::x87_control: return get_x87_control(state, reg.index);
        case RegisterKind::mxcsr: return get_field<uint32_t>(state, kMxcsr);
        case RegisterKind::segment_base: return state.segments[reg.index].base;
        default: return get_system(state, reg.index);
    }
}

bool set_number(RegisterState& state, const Register& reg, uint64_t value) {
    switch (reg.kind) {
        case RegisterKind::general: state.gpr[reg.index] = value; return true;
        case RegisterKind::instruction_pointer: state.rip = value; return true;
        case RegisterKind::flags: state.rflags = value | x86::kFlagsFixed; return true;
        case RegisterKind::x87_control:
            write_out(state, x86::kXcr0X87);
            set_x87_control(state, reg.index, static_cast<uint32_t>(value));
            return true;
        case RegisterKind::mxcsr:
            put_field(state, kMxcsr, static_cast<uint32_t>(value & 0xFFFF));
            return true;
        case RegisterKind::segment_base: state.segments[reg.index].base = value; return true;
        case RegisterKind::system: return set_system(state, reg.index, value);
        default: return false;
    }
}

// Those that are bytes in the XSAVE area.
struct VectorPlace {
    x86::Xcr0 component{};
    size_t offset = 0;  // 0: it is a number
};

VectorPlace vector_place(const Register& reg) {
    const size_t distance = reg.index * size_t{kVector};
    switch (reg.kind) {
        case RegisterKind::x87: return {x86::kXcr0X87, kSt + distance};
        case RegisterKind::xmm: return {x86::kXcr0Sse, kXmm + distance};
        case RegisterKind::ymm_high: return {x86::kXcr0Avx, kYmmHigh + distance};
        default: return {};
    }
}

bool set_vector(RegisterState& state, const VectorPlace& place, std::span<const std::byte> from) {
    if (place.component == x86::kXcr0Avx && (state.xcr0 & x86::kXcr0Avx) == 0) return false;
    write_out(state, place.component);
    std::memcpy(state.xsave.data() + place.offset, from.data(), from.size());
    return true;
}

}  // namespace

const std::vector<Register>& registers() {
    static const std::vector<Register> list = list_registers();
    return list;
}

size_t registers_size() {
    size_t size = 0;
    for (const Register& reg : registers())
        size += reg.size;
    return size;
}

void write_out_initial_state(RegisterState& state) {
    for (const x86::Xcr0 component : {x86::kXcr0X87, x86::kXcr0Sse, x86::kXcr0Avx})
        write_out(state, component);
}

void read_register(const RegisterState& state, const Register& reg, std::span<std::byte> to) {
    if (const VectorPlace place = vector_place(reg); place.offset != 0) {
        std::memcpy(to.data(), state.xsave.data() + place.offset, to.size());
        return;
    }
    const uint64_t number = get_number(state, reg);
    std::memcpy(to.data(), &number, to.size());
}

bool write_register(RegisterState& state, const Register& reg, std::span<const std::byte> from) {
    RegisterState shown = state;
    write_out_initial_state(shown);
    std::array<std::byte, kVector> now{};
    read_register(shown, reg, std::span(now).first(reg.size));
    if (std::equal(from.begin(), from.end(), now.begin())) return true;
    if (const VectorPlace place = vector_place(reg); place.offset != 0)
        return set_vector(state, place, from);
    uint64_t number = 0;
    std::memcpy(&number, from.data(), from.size());
    return set_number(state, reg, number);
}

}  // namespace banyan::gdb
