// What thunks cannot do by themselves: exceptions that the guest has not masked, and the change to
// MMX.
#include <array>
#include <optional>

#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/native_layout.hpp"
#include "cpu/interp/native_thunk.hpp"
#include "cpu/interp/native_x87_state.hpp"

namespace banyan::interp {
namespace {

using x86::Vector;

enum MxcsrBit : uint32_t {
    kPreComputation = 0x07,  // IE, DE, ZE: found before the result is known
    kUnderflow = 0x10,
    kAllExceptions = 0x3F,
    kFlushToZero = 0x8000,
};
constexpr unsigned kMaskShift = 7;

void op_return(Cpu&, const Op*) {}

// Runs the code with an Op behind it that comes back here.
void call_thunk(Cpu& cpu, const Op* op, const Thunk& thunk, void* memory) {
    std::array<Op, 2> ops{};
    ops[0] = *op;
    ops[1].handler = op_return;
    thunk.code(cpu, ops.data(), memory);
}

void enter_mmx(Cpu& cpu) {
    X87State x87(cpu.vectors);
    x87.rotate_to(0);
    x87.set_tags(0xFF);
}

// Runs an instruction of which some SIMD exception is not masked: with all masked, on state that
// can be taken back. The host's process never sees SIGFPE. Rules: Intel SDM vol. 1
// sections 4.9.2, 11.5.2 and 11.5.3.
class UnmaskedRun {
public:
    UnmaskedRun(Cpu& cpu, const Op* op, const Thunk& thunk, void* memory)
        : cpu_(cpu),
          op_(op),
          thunk_(thunk),
          memory_(memory),
          vectors_(cpu.vectors),
          gpr_(cpu.gpr),
          arith_(cpu.arith) {
        if (cpu.model.has(Feature::avx512f)) avx512_ = cpu.avx512;
    }

    bool run() {
        const uint32_t guest = vectors_.mxcsr;
        if (thunk_.suppresses_exceptions) {
            attempt(guest | kMxcsrMasks, memory_);
            cpu_.vectors.mxcsr = guest;
            return true;
        }
        const uint32_t unmasked = ~(guest >> kMaskShift) & kAllExceptions;
        uint32_t masked = (guest | kMxcsrMasks) & ~uint32_t{kAllExceptions};
        if ((unmasked & kUnderflow) != 0)
            masked &= ~uint32_t{kFlushToZero};  // works only with underflow masked
        uint32_t raised = 0;
        // Unmasked underflow reports tiny results even if exact. Flushing shows them: it reports
        // whatever it flushes.
        if ((unmasked & kUnderflow) != 0) {
            raised = attempt(masked | kFlushToZero, scratch()) & kUnderflow;
            undo();
        }
        raised |= attempt(masked, scratch());
        if ((raised & kPreComputation & unmasked) != 0) raised &= kPreComputation;
        if ((raised & unmasked) != 0) {
            undo();
            if (thunk_.uses_mmx) enter_mmx(cpu_);  // which has happened by then
            cpu_.vectors.mxcsr = guest | raised;
            return cpu_.raise(op_, (cpu_.cr4 & x86::kCr4OsXmmExcpt) != 0 ? Vector::xm : Vector::ud);
        }
        // Again, for a store: under an opmask, only it knows which bytes are written.
        if (thunk_.stores) {
            undo();
            attempt(masked, memory_);
        }
        cpu_.vectors.mxcsr = guest | raised;
        return true;
    }

private:
    // Returns the exceptions that came up.
    uint32_t attempt(uint32_t mxcsr, void* memory) {
        cpu_.vectors.mxcsr = mxcsr;
        call_thunk(cpu_, op_, thunk_, memory);
        cpu_.settle();
        return cpu_.vectors.mxcsr & kAllExceptions;
    }
    // What is stored goes nowhere until it is known that nothing is raised.
    void* scratch() { return thunk_.stores ? bounce_.data() : memory_; }
    void undo() {
        cpu_.vectors = vectors_;
        if (avx512_) cpu_.avx512 = *avx512_;
        cpu_.gpr = gpr_;
        cpu_.arith = arith_;
    }

    Cpu& cpu_;
    const Op* op_;
    const Thunk& thunk_;
    void* memory_;
    const Cpu::Vectors vectors_;
    const decltype(Cpu::gpr) gpr_;
    const FlagWord arith_;
    std::optional<Cpu::Avx512> avx512_;
    alignas(64) std::array<std::byte, 64> bounce_{};
};

}  // namespace

void thunk_unmasked(Cpu& cpu, const Op* op, void* memory) {
    cpu.settle();
    if (!UnmaskedRun(cpu, op, thunk_of(op), memory).run()) return;
    NEXT(cpu, op);
}

// With CR0.NE = 0 hardware would signal FERR# to the interrupt controller; no guest of this machine
// asks for that.
void thunk_x87_error(Cpu& cpu, const Op* op, void*) {
    cpu.raise(op, Vector::mf);
}

void thunk_enter_mmx(Cpu& cpu, const Op* op, void* memory) {
    cpu.settle();
    X87State(cpu.vectors).rotate_to(0);
    return thunk_of(op).code(cpu, op, memory);
}

bool run_thunk(Cpu& cpu, const Op* op, const Thunk& thunk, void* memory) {
    cpu.settle();
    X87State x87(cpu.vectors);
    if ((thunk.uses_mmx || thunk.is_x87) && x87.error_pending()) {
        return cpu.raise(op, Vector::mf);
    }
    if (thunk.uses_mmx) x87.rotate_to(0);
    if (thunk.uses_mxcsr && (~cpu.vectors.mxcsr & kMxcsrMasks) != 0) {
        return UnmaskedRun(cpu, op, thunk, memory).run();
    }
    call_thunk(cpu, op, thunk, memory);
    cpu.settle();
    return true;
}

}  // namespace banyan::interp
