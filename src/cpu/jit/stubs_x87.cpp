#include "cpu/jit/stubs_x87.hpp"

#include <bit>

#include "cpu/interp/native_layout.hpp"
#include "cpu/interp/native_x87_state.hpp"
#include "cpu/jit/layout.hpp"

namespace banyan::jit {

namespace {

// In the FXSAVE image (Intel SDM vol. 1 table 10-2): FXRSTOR loads them as well.
constexpr int32_t kImageMxcsrAt = interp::kFxsaveAt + 24;
constexpr int32_t kImageXmmAt = interp::kFxsaveAt + 160;

x86a::Mem image(int32_t pushed) {
    return state(interp::kFxsaveAt, 512, pushed);
}

}  // namespace

// At the entry of a region: guest registers are live but for the temporaries, vector registers
// perhaps. Those go through the image.
void write_load_x87(x86a::Assembler& a, const uint8_t* unmasked) {
    const auto exit = a.newLabel();
    const auto restore = a.newLabel();
    a.mov(kT0.r32(), state(interp::kFcwAt, 4, 8));  // and the status above it
    a.xor_(kT0.r32(), interp::X87State::kExceptions);
    a.test(kT0.r32(),
           interp::X87State::kExceptions | uint32_t{interp::X87State::kErrorSummary} << 16);
    a.jnz(exit);
    a.cmp(state(kVectorsLiveAt, 4, 8), 0);
    a.je(restore);
    for (int i = 0; i < 16; ++i)
        a.movaps(state(kImageXmmAt + i * 16, 16, 8), x86a::xmm(static_cast<uint32_t>(i)));
    a.stmxcsr(state(kImageMxcsrAt, 4, 8));
    a.bind(restore);
    a.fxrstor64(image(8));
    a.mov(state(kImageMxcsrAt, 4, 8), interp::kHostMxcsr);
    a.mov(state(kX87LiveAt, 4, 8), 1);
    a.ret();
    a.bind(exit);
    a.add(x86a::rsp, 8);
    a.jmp(std::bit_cast<uint64_t>(unmasked));
}

// The instruction and data pointers stay what generated code has noted: the host's own are those of
// that code. FXSAVE is not a waiting instruction, EMMS is, but nothing is pending.
void settle_x87(x86a::Assembler& a, int32_t pushed) {
    const auto done = a.newLabel();
    a.cmp(state(kX87LiveAt, 4, pushed), 0);
    a.je(done);
    a.mov(x86a::rax, state(interp::kFipAt, 8, pushed));
    a.mov(x86a::rcx, state(interp::kFdpAt, 8, pushed));
    a.movzx(x86a::edx, state(interp::kFopAt, 2, pushed));
    a.fxsave64(image(pushed));
    a.mov(state(interp::kFipAt, 8, pushed), x86a::rax);
    a.mov(state(interp::kFdpAt, 8, pushed), x86a::rcx);
    a.mov(state(interp::kFopAt, 2, pushed), x86a::dx);
    a.mov(state(kImageMxcsrAt, 4, pushed), interp::kHostMxcsr);
    a.emms();
    a.fldcw(state(kHostFcwAt, 2, pushed));
    a.bind(done);
}

void reload_x87(x86a::Assembler& a, int32_t pushed) {
    const auto done = a.newLabel();
    a.cmp(state(kX87LiveAt, 4, pushed), 0);
    a.je(done);
    a.fxrstor64(image(pushed));
    a.bind(done);
}

}  // namespace banyan::jit
