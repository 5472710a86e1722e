// JitMachine: a TestMachine whose vCPU has the JIT, for the tests of this folder.
#pragma once

#include <asmjit/x86.h>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cpu/interp/test_machine.hpp"
#include "cpu/jit/runtime.hpp"

namespace banyan::jit {

// Guest code for address `at`, where `write` puts it.
inline std::vector<uint8_t> assemble(uint64_t at,
                                     const std::function<void(asmjit::x86::Assembler&)>& write) {
    asmjit::CodeHolder code;
    code.init(asmjit::Environment::host(), at);
    asmjit::x86::Assembler a(&code);
    write(a);
    BANYAN_ASSERT(code.flatten() == asmjit::kErrorOk);
    BANYAN_ASSERT(code.resolveUnresolvedLinks() == asmjit::kErrorOk);
    BANYAN_ASSERT(code.relocateToBase(at) == asmjit::kErrorOk);
    std::vector<uint8_t> bytes(code.codeSize());
    BANYAN_ASSERT(code.copyFlattenedData(bytes.data(), bytes.size()) == asmjit::kErrorOk);
    return bytes;
}

// In long mode at CPL 0, with small pages: one to one, unless a test maps them otherwise. Faults
// run into their handlers on a stack of their own.
class LongMachine : public interp::TestMachine {
public:
    static constexpr uint64_t kTable = kPageTables + 0x3000;  // of the first 2 MiB
    static constexpr uint64_t kFaultStack = 0x38000;          // top
    static constexpr uint64_t kBeyond = 0x100000;  // linear: no memory there until it is mapped
    static constexpr uint64_t kPresent = 0x67;     // and writable, user, accessed, dirty

    explicit LongMachine(const MakeCpu& make_cpu) : TestMachine(make_cpu) {
        enter_long();
        for (uint64_t page = 0; page < 512; ++page)
            put<uint64_t>(kTable + page * 8, page << kPageShift | kPresent);
        put<uint64_t>(kPageTables + 0x2000, kTable | kPresent);
        put<uint64_t>(kTss + 0x24, kFaultStack);
        for (uint64_t vector = 0; vector < 32; ++vector)
            put_long_gate(vector, 0x8E00, 1);
        cpu().flush_tlb();
    }

    static constexpr uint64_t entry_of(uint64_t linear) {
        return kTable + (linear >> kPageShift) * 8;
    }
    // Takes effect as in a real machine: when the guest flushes its TLB.
    void map(uint64_t linear, uint64_t gpa) { put<uint64_t>(entry_of(linear), gpa | kPresent); }
    void unmap(uint64_t linear) { put<uint64_t>(entry_of(linear), 0); }

    // `gpa`: where the code for linear address `at` really is.
    void code_at(uint64_t at, uint64_t gpa,
                 const std::function<void(asmjit::x86::Assembler&)>& write) {
        for (const uint8_t byte : assemble(at, write))
            put<uint8_t>(gpa++, byte);
    }
    void code_at(uint64_t at, const std::function<void(asmjit::x86::Assembler&)>& write) {
        code_at(at, at, write);
    }

    // Runs from `rip` to HLT.
    void run_from(uint64_t rip) {
        cpu().activity = x86::Activity::running;
        cpu().rip = rip;
        run();
    }
    uint64_t gpr(unsigned number) { return cpu().gpr[number]; }
    // What the handler of a fault finds on its stack, which is the only thing there.
    struct Frame {
        uint64_t error, rip, rsp;
    };
    Frame frame() {
        return {get<uint64_t>(kFaultStack - 48), get<uint64_t>(kFaultStack - 40),
                get<uint64_t>(kFaultStack - 16)};
    }
};

inline constexpr uint64_t kCode = LongMachine::kCode;

// A vCPU that generated code can run on.
inline std::shared_ptr<interp::Cpu> make_testing_cpu(const VcpuWiring& wiring, GuestMemory& memory,
                                                     const Clock& clock,
                                                     const interp::CpuModel& model,
                                                     interp::CodeCoherence& coherence) {
    JitCpuPtr cpu = make_jit_cpu(wiring, memory, clock, model, coherence);
    BANYAN_ASSERT(cpu != nullptr);
    return std::shared_ptr<JitCpu>(std::move(cpu));
}

// The interpreter alone, on such a vCPU.
class Interpreted : public LongMachine {
public:
    Interpreted() : LongMachine(make_testing_cpu) {}
};

// Everything is translated when it runs for the first time, if it can be.
class JitMachine : public LongMachine {
public:
    explicit JitMachine(const JitOptions& options = {.hot = 0},
                        HostCodeListener* listener = nullptr)
        : LongMachine(make_testing_cpu), runtime_(static_cast<JitCpu&>(cpu()), options, listener) {
        BANYAN_ASSERT(runtime_.good());
    }

    const JitStatistics& statistics() const { return runtime_.statistics(); }

private:
    Runtime runtime_;
};

}  // namespace banyan::jit
