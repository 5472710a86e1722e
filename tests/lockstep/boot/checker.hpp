// Checker: what stands between the loop and the JIT, and repeats what the JIT does.
#pragma once

#include <span>
#include <vector>

#include "cpu/interp/accelerator.hpp"
#include "cpu/jit/runtime.hpp"
#include "lockstep/boot/checked_engine.hpp"
#include "lockstep/boot/replay.hpp"
#include "lockstep/boot/write_guard.hpp"

namespace banyan::lockstep {

class Checker final : public interp::Accelerator {
public:
    Checker(jit::JitCpu& cpu, const CheckOptions& options, CheckResult& result);

    bool run(interp::Block& block) override;
    void drop(interp::Block& block) override { runtime_.drop(block); }
    void clear() override { runtime_.clear(); }

private:
    struct Stretch {
        x86::RegisterState before;
        uint64_t count = 0;  // instructions
    };
    struct After {
        std::byte* place;
        std::array<std::byte, WriteGuard::kPageSize> bytes;
    };

    bool run_jit(interp::Block& block);
    bool wanted();
    bool run_compared(interp::Block& block);
    void check(const Stretch& stretch);
    void compare(const Stretch& stretch, Replay::End end);
    bool changed_code() const;
    void go_back();
    void go_forth();
    std::string compare_registers();
    std::string compare_faults(Replay::End end);
    std::string compare_pages() const;
    uint32_t flags_to_compare();
    void fail(const Stretch& stretch, const std::string& differences);
    std::string listing(uint64_t rip) const;
    size_t read_code(uint64_t rip, std::span<std::byte> bytes) const;

    jit::JitCpu& cpu_;
    const CheckOptions options_;
    CheckResult& result_;
    jit::Runtime runtime_;
    Replay replay_;
    WriteGuard guard_;
    uint64_t stretches_ = 0;
    std::vector<After> after_;  // the pages that the JIT has written
};

}  // namespace banyan::lockstep
