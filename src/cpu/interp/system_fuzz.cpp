// A hostile kernel: random code with random descriptor tables, task states, control registers and
// MSRs, in every mode. Whatever it does, the engine stays in bounds.
#include <cstdint>
#include <cstring>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

class Input {
public:
    Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}

    // Zeros when the input is used up.
    template <class T>
    T take() {
        T value{};
        const size_t size = left_ < sizeof(T) ? left_ : sizeof(T);
        std::memcpy(&value, data_, size);
        data_ += size;
        left_ -= size;
        return value;
    }

private:
    const uint8_t* data_;
    size_t left_;
};

void enter(M& m, uint8_t mode) {
    const uint8_t cpl = (mode & 1) != 0 ? 3 : 0;
    switch (mode / 2 % 3) {
        case 0: m.enter_real(); break;
        case 1: m.enter_protected(cpl); break;
        default: m.enter_long(cpl); break;
    }
}

// Descriptors, gates and the TSS: entries that the code is likely to use.
void fill_tables(M& m, Input& in) {
    for (uint64_t i = 0; i < 4; ++i)
        m.put<uint64_t>(M::kGdt + M::kFree + i * 8, in.take<uint64_t>());
    const uint8_t vector = in.take<uint8_t>() & 0x1F;
    m.put<uint64_t>(M::kIdt + vector * 8U, in.take<uint64_t>());
    for (uint64_t i = 0; i < 8; ++i)
        m.put<uint64_t>(0x6000 + i * 8, in.take<uint64_t>());
}

void fill_registers(M& m, Input& in) {
    Cpu& cpu = m.cpu();
    constexpr uint32_t kFlags = x86::kIf | x86::kTf | x86::kNt | x86::kIopl | x86::kAc | x86::kDf;
    for (const x86::Gpr r : {x86::kRax, x86::kRcx, x86::kRdx, x86::kRbx})
        cpu.gpr[r] = in.take<uint32_t>() & 0xC00FFFFF;
    cpu.system_flags |= in.take<uint32_t>() & kFlags;
    cpu.dr[0] = in.take<uint32_t>() & 0xFFFFF;
    cpu.dr7 |= in.take<uint32_t>() & 0x000F0003;
    cpu.msr.star = in.take<uint64_t>();
    cpu.msr.lstar = M::kCode;
    cpu.msr.sysenter_cs = in.take<uint16_t>();
    cpu.mode_changed();
}

}  // namespace
}  // namespace banyan::interp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan::interp;
    constexpr unsigned kInstructions = 200;
    static TestMachine m;
    m.clear();
    Input in(data, size);
    enter(m, in.take<uint8_t>());
    const unsigned length = in.take<uint8_t>() & 0x7F;
    for (unsigned i = 0; i < length; ++i)
        m.put<uint8_t>(M::kCode + i, in.take<uint8_t>());
    fill_registers(m, in);
    fill_tables(m, in);
    // A shadowed instruction runs before events are looked at: one instruction each time.
    for (unsigned i = 0; i < kInstructions; ++i) {
        m.cpu().shadow_next = true;
        m.cpu().post(kEventKick);
        if (m.run_until_exit() == banyan::ExitReason::shutdown) break;
        BANYAN_ASSERT(m.cpu().cpl <= 3 && (m.cpu().cpl == 0 || m.cpu().protected_mode()));
    }
    return 0;
}
