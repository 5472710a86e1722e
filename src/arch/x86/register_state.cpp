#include "arch/x86/register_state.hpp"

#include <cstring>

namespace banyan::x86 {

namespace {

constexpr uint16_t kRealModeData = 0x93;  // present, data, writable, accessed
constexpr uint16_t kRealModeCode = 0x9B;
constexpr uint16_t kBusyTss = 0x8B;
constexpr uint16_t kLdt = 0x82;

void put16(RegisterState& state, size_t offset, uint16_t value) {
    std::memcpy(state.xsave.data() + offset, &value, sizeof(value));
}

}  // namespace

RegisterState power_on_state(bool boot_processor, uint32_t signature) {
    RegisterState state;
    for (SegmentRegister& segment : state.segments)
        segment = {0, {kRealModeData}, 0xFFFF, 0};
    state.segments[kCs] = {0xF000, {kRealModeCode}, 0xFFFF, 0xFFFF0000};
    state.ldtr = {0, {kLdt}, 0xFFFF, 0};
    state.tr = {0, {kBusyTss}, 0xFFFF, 0};
    state.gdtr = {0, 0xFFFF};
    state.idtr = {0, 0xFFFF};
    state.cr0 = kCr0Cd | kCr0Nw | kCr0Et;
    state.rip = 0xFFF0;
    state.gpr[kRdx] = signature;
    state.activity = boot_processor ? Activity::running : Activity::wait_for_sipi;
    put16(state, 0, 0x40);                     // FCW after reset, not after FNINIT
    put16(state, kXsaveLegacySize, kXcr0X87);  // XSTATE_BV: which makes that count
    const uint32_t mxcsr = 0x1F80;
    std::memcpy(state.xsave.data() + 24, &mxcsr, sizeof(mxcsr));
    return state;
}

}  // namespace banyan::x86
