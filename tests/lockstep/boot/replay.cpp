#include "lockstep/boot/replay.hpp"

#include <utility>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"

namespace banyan::lockstep {

using interp::Block;
using interp::Mode;
using interp::Op;

namespace {

constexpr uint64_t kMostSteps = 20'000;
constexpr unsigned kIndex = 1;  // among those whose code is kept coherent

}  // namespace

// Answers anything, and notes that it was asked.
class Replay::Outside final : public CpuIo, public CpuInterrupts, public Clock {
public:
    explicit Outside(const Clock& clock) : clock_(clock) {}

    mutable bool asked = false;

    uint32_t port_read(uint16_t, unsigned) override { return note(); }
    void port_write(uint16_t, unsigned, uint32_t) override { note(); }
    uint64_t mmio_read(Gpa, unsigned) override { return note(); }
    void mmio_write(Gpa, unsigned, uint64_t) override { note(); }

    bool interrupt_pending() const override { return false; }
    std::optional<uint8_t> acknowledge_interrupt() override { return std::nullopt; }
    uint8_t read_cr8() const override { return static_cast<uint8_t>(note()); }
    void write_cr8(uint8_t) override { note(); }
    bool read_apic_msr(uint32_t, uint64_t& value) override {
        value = note();
        return true;
    }
    bool write_apic_msr(uint32_t, uint64_t) override { return note() == 0; }
    bool set_pv_eoi(uint64_t) override { return note() == 0; }
    uint64_t pv_eoi() const override { return note(); }

    uint64_t now_ns() const override { return note(); }
    uint64_t wall_ns() const override { return note(); }
    uint64_t tsc() const override { return note(); }
    uint64_t tsc_hz() const override { return clock_.tsc_hz(); }

private:
    uint32_t note() const {
        asked = true;
        return 0;
    }

    const Clock& clock_;
};

Replay::Replay(interp::Cpu& original)
    : original_(original), outside_(std::make_unique<Outside>(original.clock)) {
    const VcpuWiring wiring{
        .index = kIndex, .io = outside_.get(), .interrupts = outside_.get(), .waker = nullptr};
    cpu_ = std::make_unique<interp::Cpu>(wiring, original.memory, *outside_, original.model,
                                         original.coherence);
}

Replay::~Replay() {
    cpu_->wiring.index = kIndex;
}

Replay::End Replay::run(const x86::RegisterState& state, uint64_t count) {
    cpu_->wiring.index = kIndex;
    cpu_->coherence.service(*cpu_);
    cpu_->wiring.index = original_.wiring.index;  // CPUID tells it
    cpu_->set_state(state);
    outside_->asked = false;
    const uint64_t end = cpu_->retired + count;
    for (uint64_t steps = 0; cpu_->retired != end; ++steps) {
        if (steps == kMostSteps) return End::too_long;
        if (const End how = step(); how != End::done) return how;
    }
    return End::done;
}

Replay::End Replay::step() {
    interp::Cpu& cpu = *cpu_;
    Mode one = cpu.mode;
    one.bits |= Mode::kOneInstruction;
    cpu.shadow_next = false;
    Block* const block = cpu.code->lookup_one(one);
    if (block == nullptr) return outside_->asked ? End::outside : End::faulted;
    if (spoil_ && block->ops->immediate != 0) {
        block->ops->immediate ^= 1;
        spoil_ = false;
    }
    cpu.block = block;
    block->ops->handler(cpu, block->ops);
    cpu.settle();
    if (outside_->asked) return End::outside;
    if (cpu.fault.active) return End::faulted;
    cpu.retired += block->count;
    return End::done;
}

bool Replay::at_repeated() {
    Mode one = cpu_->mode;
    one.bits |= Mode::kOneInstruction;
    const Block* const block = cpu_->code->lookup_one(one);
    return block != nullptr && (block->ops->has(Op::kRep) || block->ops->has(Op::kRepne));
}

void Replay::forget_code(const std::byte* place, size_t size) {
    for (const MemoryRegion& region : cpu_->memory.regions()) {
        if (place < region.host || place >= region.host + region.size) continue;
        const auto offset = static_cast<uint64_t>(place - region.host);
        cpu_->code->invalidate(region.start.value + offset, size);
    }
}

}  // namespace banyan::lockstep
