// Runtime: the JIT of one vCPU. Finds hot blocks, has them translated, runs their code, and links
// translations to each other.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "cpu/interp/accelerator.hpp"
#include "cpu/interp/native_memory.hpp"
#include "cpu/jit/jit_cpu.hpp"
#include "cpu/jit/jit_engine.hpp"
#include "cpu/jit/region.hpp"
#include "cpu/jit/statistics.hpp"
#include "cpu/jit/stubs.hpp"
#include "cpu/jit/translation.hpp"

namespace banyan::jit {

class Runtime final : public interp::Accelerator {
public:
    // `listener`, who is told of translations, may be null.
    Runtime(JitCpu& cpu, const JitOptions& options, HostCodeListener* listener = nullptr);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    // False: this host does not let the process make code. The interpreter does it all then.
    bool good() const { return stubs_.good(); }
    const JitStatistics& statistics() const { return statistics_; }

    bool run(interp::Block& block) override;
    void drop(interp::Block& block) override;
    void clear() override;

private:
    static constexpr size_t kMaxSites = 2'000'000;
    // How often a link is made before those of other contexts look the target up instead.
    static constexpr uint32_t kMaxLinked = 16;
    static constexpr uint32_t kNever = ~uint32_t{0};

    // What is known of a block with code.
    struct Translated {
        const uint8_t* without_window = nullptr;  // the variant for a stack at a page's border
        int32_t stack_low = 0;                    // what the entry checks of the stack
        int32_t stack_high = 0;
        std::vector<uint32_t> incoming;  // links
    };
    struct Page {
        alignas(kPageSize) std::array<std::byte, kPageSize> bytes{};
    };

    static const uint8_t* run_op(JitCpu* cpu, uint32_t site);
    static const uint8_t* run_rest(JitCpu* cpu, uint32_t site);
    const uint8_t* interpret(Site& site);
    const uint8_t* interpret_rest(Site& site);
    void forget(interp::Block& block);
    const uint8_t* go_on();
    bool x87_is_quiet() const;

    bool is_hot(interp::Block& block) const;
    bool translate(interp::Block& block);
    const uint8_t* emit(interp::Block& block, bool window);
    void tell_listener(const uint8_t* code, size_t size, const interp::Block& block);
    void enter(const uint8_t* code);
    Counter& exit_counter();

    void follow_link(interp::Block& target, const uint8_t* code);
    void unlink(Link& link);
    void patch(const uint8_t* displacement, const uint8_t* target);

    Translated& translated(interp::Block& block);

    const JitCpu::Window& window() const { return cpu_.windows[static_cast<unsigned>(cpu_.view)]; }
    bool window_holds() const { return window().generation == cpu_.tlb->generation(); }
    bool shows_window() const { return cpu_.stack_addend != cpu_.no_stack_addend; }
    void show_window(uint64_t low, uint64_t addend);
    void choose_window();
    // The code of `block` for a stack that the window cannot show. Null: the block must be
    // interpreted.
    const uint8_t* code_for_stack(interp::Block& block);
    const uint8_t* code_without_window(interp::Block& block);

    JitCpu& cpu_;
    JitOptions options_;
    HostCodeListener* listener_;
    interp::CodeMemory memory_;
    Stubs stubs_;
    size_t stubs_size_;
    Translations translations_;
    std::deque<Translated> translated_;  // Block::translation points into it
    Region region_;                      // being translated
    interp::Block running_{.count = 1};  // what a single instruction takes for its block
    HostExit last_exit_ = HostExit::dispatch;
    std::unique_ptr<Page> no_stack_;  // what the window shows while it shows no stack
    JitStatistics statistics_;
};

}  // namespace banyan::jit
