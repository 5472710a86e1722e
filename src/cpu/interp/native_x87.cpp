// x87 control instructions: they work on the saved state and need no host FPU. Intel SDM vol. 1
// section 8.1.
#include <array>

#include "cpu/interp/native_access.hpp"
#include "cpu/interp/native_families.hpp"
#include "cpu/interp/native_thunk.hpp"
#include "cpu/interp/native_x87_state.hpp"

namespace banyan::interp {
namespace {

// Waiting instructions report what an earlier one left pending. While the state is in the host's
// registers nothing can be: all exceptions are masked then, and the saved status says so.
bool wait(Cpu& cpu, const Op* op) {
    return !X87State(cpu.vectors).error_pending() || cpu.raise(op, x86::Vector::mf);
}

bool is_live(const Cpu& cpu) {
    return (cpu.vectors.live & Cpu::Vectors::kX87Live) != 0;
}

void op_fwait(Cpu& cpu, const Op* op) {
    if (!wait(cpu, op)) return;
    NEXT(cpu, op);
}

void op_fninit(Cpu& cpu, const Op* op) {
    cpu.settle();
    X87State(cpu.vectors).initialise();
    NEXT(cpu, op);
}

void op_fnclex(Cpu& cpu, const Op* op) {
    cpu.settle();
    X87State x87(cpu.vectors);
    x87.set_control_and_status(x87.control(), x87.status() & 0x7F00U);
    NEXT(cpu, op);
}

// The 8087's FENI and FDISI and the 287's FSETPM.
void op_x87_nop(Cpu& cpu, const Op* op) {
    NEXT(cpu, op);
}

// Compilers change the rounding mode around each conversion: the state stays where it is, if it
// may.
void op_fldcw(Cpu& cpu, const Op* op) {
    if (!wait(cpu, op)) return;
    uint16_t control;
    if (!cpu.read(op, control)) return;
    if ((~control & X87State::kExceptions) != 0) cpu.settle();
    X87State x87(cpu.vectors);
    x87.set_control_and_status(control, x87.status());
    if (is_live(cpu)) __asm__ volatile("fldcw %0" : : "m"(cpu.vectors.fxsave));
    NEXT(cpu, op);
}

void op_fnstcw(Cpu& cpu, const Op* op) {
    if (!cpu.write(op, X87State(cpu.vectors).control())) return;
    NEXT(cpu, op);
}

uint16_t current_status(Cpu& cpu) {
    if (!is_live(cpu)) return X87State(cpu.vectors).status();
    uint16_t status;
    __asm__ volatile("fnstsw %0" : "=a"(status));
    return status;
}

void op_fnstsw(Cpu& cpu, const Op* op) {
    if (!cpu.write(op, current_status(cpu))) return;
    NEXT(cpu, op);
}

void op_fnstsw_ax(Cpu& cpu, const Op* op) {
    cpu.set<uint16_t>(x86::kRax * 8, current_status(cpu));
    NEXT(cpu, op);
}

// The environment in memory: seven fields of 16 or 32 bits; in real-address and VM86 mode pointers
// are linear addresses and the opcode shares a field with the high bits of one (Intel SDM vol. 1
// figures 8-9 to 8-12).
template <class T>
class Environment {
public:
    static constexpr unsigned kFields = 7;
    static constexpr unsigned kSize = kFields * sizeof(T);

    static void store(const Cpu& cpu, X87State x87, std::byte* to) {
        // Reserved halves of 32-bit fields are ones.
        constexpr T kHigh = sizeof(T) == 4 ? static_cast<T>(0xFFFF0000U) : T{0};
        std::array<T, kFields> f{};
        f[0] = kHigh | x87.control();
        f[1] = kHigh | x87.status();
        f[2] = kHigh | x87.full_tags();
        const auto ip = static_cast<uint32_t>(x87.instruction_pointer());
        const auto dp = static_cast<uint32_t>(x87.data_pointer());
        if (real_format(cpu)) {
            f[3] = static_cast<T>(kHigh | (ip & 0xFFFFU));
            f[4] = static_cast<T>(high_part(ip) | x87.opcode());
            f[5] = static_cast<T>(kHigh | (dp & 0xFFFFU));
            f[6] = static_cast<T>(high_part(dp));
        } else {
            f[3] = static_cast<T>(ip);
            f[4] = sizeof(T) == 4 ? static_cast<T>(uint32_t{x87.opcode()} << 16)
                                  : T{0};  // and FCS, which is 0
            f[5] = static_cast<T>(dp);
            f[6] = kHigh;  // and FDS
        }
        std::memcpy(to, f.data(), kSize);
    }

    // The registers stay where they are: TOP changes which one is ST0.
    static void load(const Cpu& cpu, X87State x87, const std::byte* from) {
        std::array<T, kFields> f;
        std::memcpy(f.data(), from, kSize);
        const auto status = static_cast<uint16_t>(f[1]);
        x87.rotate_to((status >> 11) & 7U);
        x87.set_control_and_status(static_cast<uint16_t>(f[0]), status);
        x87.set_full_tags(static_cast<uint16_t>(f[2]));
        if (real_format(cpu)) {
            x87.set_pointers(static_cast<uint16_t>(f[4] & 0x7FFU),
                             (f[3] & 0xFFFFU) | from_high_part(f[4]),
                             (f[5] & 0xFFFFU) | from_high_part(f[6]));
        } else {
            const auto opcode =
                sizeof(T) == 4 ? static_cast<uint16_t>(uint32_t{f[4]} >> 16) : uint16_t{0};
            x87.set_pointers(opcode, f[3], f[5]);
        }
    }

private:
    static bool real_format(const Cpu& cpu) { return !cpu.protected_mode() || cpu.vm86(); }
    static uint32_t high_part(uint32_t pointer) {
        return sizeof(T) == 4 ? (pointer & 0xFFFF0000U) >> 4 : (pointer & 0xF0000U) >> 4;
    }
    static uint32_t from_high_part(uint32_t field) { return (field << 4) & 0xFFFF0000U; }
};

template <class T>
void op_fnstenv(Cpu& cpu, const Op* op) {
    cpu.settle();
    std::array<std::byte, Environment<T>::kSize> image;
    X87State x87(cpu.vectors);
    Environment<T>::store(cpu, x87, image.data());
    uint64_t linear;
    if (!operand_linear(cpu, op, image.size(), Access::write, linear)) return;
    if (!cpu.write_slow(op, linear, image.data(), image.size(), cpu.view)) return;
    x87.set_control_and_status(x87.control() | X87State::kExceptions, x87.status());
    NEXT(cpu, op);
}

template <class T>
void op_fldenv(Cpu& cpu, const Op* op) {
    cpu.settle();
    if (!wait(cpu, op)) return;
    std::array<std::byte, Environment<T>::kSize> image;
    uint64_t linear;
    if (!operand_linear(cpu, op, image.size(), Access::read, linear)) return;
    if (!cpu.read_slow(op, linear, image.data(), image.size(), cpu.view)) return;
    Environment<T>::load(cpu, X87State(cpu.vectors), image.data());
    NEXT(cpu, op);
}

template <class T>
void op_fnsave(Cpu& cpu, const Op* op) {
    cpu.settle();
    constexpr unsigned kEnvironment = Environment<T>::kSize;
    std::array<std::byte, kEnvironment + 80> image;
    X87State x87(cpu.vectors);
    Environment<T>::store(cpu, x87, image.data());
    for (unsigned i = 0; i < 8; ++i)
        std::memcpy(&image[kEnvironment + 10 * i], x87.st(i).data(), 10);
    uint64_t linear;
    if (!operand_linear(cpu, op, image.size(), Access::write, linear)) return;
    if (!cpu.write_slow(op, linear, image.data(), image.size(), cpu.view)) return;
    x87.initialise();
    NEXT(cpu, op);
}

template <class T>
void op_frstor(Cpu& cpu, const Op* op) {
    cpu.settle();
    if (!wait(cpu, op)) return;
    constexpr unsigned kEnvironment = Environment<T>::kSize;
    std::array<std::byte, kEnvironment + 80> image;
    uint64_t linear;
    if (!operand_linear(cpu, op, image.size(), Access::read, linear)) return;
    if (!cpu.read_slow(op, linear, image.data(), image.size(), cpu.view)) return;
    X87State x87(cpu.vectors);
    Environment<T>::load(cpu, x87, image.data());
    for (unsigned i = 0; i < 8; ++i)
        std::memcpy(x87.st(i).data(), &image[kEnvironment + 10 * i], 10);
    NEXT(cpu, op);
}

}  // namespace

bool is_native_x87_control(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_FWAIT:
        case ZYDIS_MNEMONIC_FNCLEX:
        case ZYDIS_MNEMONIC_FLDCW:
        case ZYDIS_MNEMONIC_FNSTCW:
        case ZYDIS_MNEMONIC_FNSTSW: return true;
        default: return false;
    }
}

Handler select_x87_control(const Decoded& decoded, Op& op) {
    const ZydisDecodedInstruction& in = decoded.instruction;
    if (is_native_x87_control(in.mnemonic)) op.bits |= Op::kNativeX87;
    const bool narrow = in.operand_width == 16;
    switch (in.mnemonic) {
        case ZYDIS_MNEMONIC_FWAIT: return op_fwait;
        case ZYDIS_MNEMONIC_FNINIT: return op_fninit;
        case ZYDIS_MNEMONIC_FNCLEX: return op_fnclex;
        case ZYDIS_MNEMONIC_FENI8087_NOP:
        case ZYDIS_MNEMONIC_FDISI8087_NOP:
        case ZYDIS_MNEMONIC_FSETPM287_NOP: return op_x87_nop;
        case ZYDIS_MNEMONIC_FLDCW: return op_fldcw;
        case ZYDIS_MNEMONIC_FNSTCW: return op_fnstcw;
        case ZYDIS_MNEMONIC_FNSTSW:
            return decoded.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? op_fnstsw : op_fnstsw_ax;
        case ZYDIS_MNEMONIC_FNSTENV: return narrow ? op_fnstenv<uint16_t> : op_fnstenv<uint32_t>;
        case ZYDIS_MNEMONIC_FLDENV: return narrow ? op_fldenv<uint16_t> : op_fldenv<uint32_t>;
        case ZYDIS_MNEMONIC_FNSAVE: return narrow ? op_fnsave<uint16_t> : op_fnsave<uint32_t>;
        case ZYDIS_MNEMONIC_FRSTOR: return narrow ? op_frstor<uint16_t> : op_frstor<uint32_t>;
        default: return nullptr;
    }
}

}  // namespace banyan::interp
