// Guest state that is in the host's registers: taking it back.
#include <xmmintrin.h>

#include "cpu/interp/native_layout.hpp"
#include "cpu/interp/native_thunk.hpp"
#include "cpu/interp/native_x87_state.hpp"

namespace banyan::interp {
namespace {

// Leaves the host's x87 as the ABI wants it. FXSAVE is not a waiting instruction, EMMS is. FIP, FDP
// and FOP stay what handlers and thunks have noted: the host's own would be addresses of thunks.
void save_x87(Cpu::Vectors& v) {
    X87State x87(v);
    const uint16_t opcode = x87.opcode();
    const uint64_t instruction = x87.instruction_pointer();
    const uint64_t data = x87.data_pointer();
    __asm__ volatile("fxsave64 %0" : "=m"(v.fxsave));
    x87.set_pointers(opcode, instruction, data);
    std::memcpy(&v.fxsave[24], &kHostMxcsr, sizeof(kHostMxcsr));  // what the next FXRSTOR loads
    if (x87.error_pending()) __asm__ volatile("fnclex");
    __asm__ volatile("emms\n\tfldcw %0" : : "m"(kHostFcw));
}

}  // namespace

void Cpu::settle_vectors() {
    if ((vectors.live & Vectors::kMxcsrLive) != 0) {
        vectors.mxcsr = _mm_getcsr();
        _mm_setcsr(kHostMxcsr);
    }
    if ((vectors.live & Vectors::kX87Live) != 0) save_x87(vectors);
    vectors.live = 0;
}

void thunk_x87_settle_next(Cpu& cpu, const Op* op, void*) {
    save_x87(cpu.vectors);
    NEXT(cpu, op);
}

}  // namespace banyan::interp
