// Accelerator: what runs hot blocks faster than the interpreter can, on the same Cpu. The JIT is
// one. Called on the vCPU's own thread only.
#pragma once

namespace banyan::interp {

struct Block;

class Accelerator {
public:
    // Runs the guest from the start of `block`, where cpu.rip is, for as long as nothing needs the
    // loop's attention. False: it has no code for the block, and nothing has happened. On return
    // cpu.rip is true, or a fault is pending as a handler leaves it.
    virtual bool run(Block& block) = 0;
    // The block's bytes have changed: its code must not be entered any more.
    virtual void drop(Block& block) = 0;
    // All blocks go.
    virtual void clear() = 0;

protected:
    ~Accelerator() = default;
};

}  // namespace banyan::interp
