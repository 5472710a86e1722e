// Replay: the interpreter on the memory of a vCPU that has already run, to find what that vCPU
// should have become.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cpu/interp/cpu.hpp"

namespace banyan::lockstep {

class Replay {
public:
    // Beside `original`, with the same memory.
    explicit Replay(interp::Cpu& original);
    ~Replay();

    enum class End {
        done,     // `count` instructions
        faulted,  // before that: cpu().fault
        outside,  // asked a device or a clock, whose answer is not the same twice
        too_long,
    };
    // From `state`, on the thread of the original, which must not be running.
    End run(const x86::RegisterState& state, uint64_t count);
    // One more instruction.
    End step();

    interp::Cpu& cpu() { return *cpu_; }
    // Is the instruction at cpu().rip a repeated one, which an engine may do in pieces?
    bool at_repeated();
    // The next instruction that has an immediate operand gets another one, for good.
    void spoil_an_instruction() { spoil_ = true; }
    // Memory was changed behind its back.
    void forget_code(const std::byte* place, size_t size);

private:
    class Outside;

    interp::Cpu& original_;
    std::unique_ptr<Outside> outside_;
    std::unique_ptr<interp::Cpu> cpu_;
    bool spoil_ = false;
};

}  // namespace banyan::lockstep
