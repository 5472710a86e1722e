#include "cpu/interp/mtrr.hpp"

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "support/bits.hpp"

namespace banyan::interp {

namespace {

constexpr uint64_t kCapabilities = 0x508;  // eight variable ranges, fixed ranges, write-combining

uint64_t* register_of_index(x86::MsrState& msr, uint32_t index) {
    if (index >= x86::kMsrMtrrPhysBase0 &&
        index < x86::kMsrMtrrPhysBase0 + msr.mtrr_variable.size()) {
        return &msr.mtrr_variable[index - x86::kMsrMtrrPhysBase0];
    }
    switch (index) {
        case x86::kMsrMtrrFix64k: return msr.mtrr_fixed.data();
        case x86::kMsrMtrrFix16k80000: return &msr.mtrr_fixed[1];
        case x86::kMsrMtrrFix16kA0000: return &msr.mtrr_fixed[2];
        case x86::kMsrMtrrDefType: return &msr.mtrr_def_type;
        default: break;
    }
    if (index >= x86::kMsrMtrrFix4kC0000 && index < x86::kMsrMtrrFix4kC0000 + 8) {
        return &msr.mtrr_fixed[3 + (index - x86::kMsrMtrrFix4kC0000)];
    }
    return nullptr;
}

bool is_type(uint64_t type) {
    return type < 7 && type != 2 && type != 3;
}

bool all_types(uint64_t value) {
    for (unsigned i = 0; i < 8; ++i) {
        if (!is_type(value >> (i * 8) & 0xFF)) return false;
    }
    return true;
}

bool allowed(const Cpu& cpu, uint32_t index, uint64_t value) {
    if (index == x86::kMsrMtrrDefType)
        return (value & ~uint64_t{0xCFF}) == 0 && is_type(value & 0xFF);
    if (index >= x86::kMsrMtrrFix64k) return all_types(value);
    const uint64_t above = mask(63, cpu.model.physical_address_bits());
    if ((index & 1U) != 0) return (value & (above | 0x7FF)) == 0;
    return (value & (above | 0xF00)) == 0 && is_type(value & 0xFF);
}

}  // namespace

bool is_mtrr(uint32_t index) {
    x86::MsrState none;
    return index == x86::kMsrMtrrCap || register_of_index(none, index) != nullptr;
}

bool read_mtrr(const Cpu& cpu, uint32_t index, uint64_t& value) {
    if (index == x86::kMsrMtrrCap) {
        value = kCapabilities;
        return true;
    }
    x86::MsrState copy = cpu.msr;
    const uint64_t* const source = register_of_index(copy, index);
    if (source == nullptr) return false;
    value = *source;
    return true;
}

bool write_mtrr(Cpu& cpu, uint32_t index, uint64_t value) {
    uint64_t* const target = register_of_index(cpu.msr, index);
    if (target == nullptr || !allowed(cpu, index, value)) return false;
    *target = value;
    return true;
}

}  // namespace banyan::interp
