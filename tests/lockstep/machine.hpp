// Machine: one engine with memory, ports and interrupts of its own, running one program from stop
// to stop.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "lockstep/engines.hpp"
#include "lockstep/program.hpp"
#include "lockstep/random.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan::lockstep {

struct PortAccess {
    bool write = false;
    uint16_t port = 0;
    unsigned size = 0;
    uint32_t value = 0;
    friend bool operator==(const PortAccess&, const PortAccess&) = default;
};

// Interrupts in the order in which they were asked for. From any thread.
class InterruptQueue final : public CpuInterrupts {
public:
    void request(uint8_t vector);

    bool interrupt_pending() const override { return count_.load() != 0; }
    std::optional<uint8_t> acknowledge_interrupt() override;
    uint8_t read_cr8() const override { return 0; }
    void write_cr8(uint8_t) override {}
    bool read_apic_msr(uint32_t, uint64_t&) override { return false; }
    bool write_apic_msr(uint32_t, uint64_t) override { return false; }
    bool set_pv_eoi(uint64_t) override { return false; }
    uint64_t pv_eoi() const override { return 0; }

private:
    std::mutex mutex_;
    std::deque<uint8_t> waiting_;
    std::atomic<size_t> count_{0};
};

enum class StopKind : uint8_t {
    checkpoint,  // the program waits to be woken
    end,
    out_of_time,
    shutdown,
    internal_error,
};

struct Stop {
    StopKind kind = StopKind::end;
    std::string text;  // of an internal error
    x86::RegisterState state;
};

class Machine final : private CpuIo {
public:
    static constexpr size_t kMaxPortAccesses = 10'000;  // that are kept

    Machine(const EngineEntry& engine, const Program& program, std::string_view cpu_model);
    ~Machine();

    // Until the program stops. `time` is for all that this call runs.
    Stop run(std::chrono::milliseconds time);
    // Lets the program go on after a checkpoint.
    void wake();
    // To the end, kicked and interrupted at random times, and now and then with its state read and
    // written back.
    Stop run_disturbed(std::chrono::milliseconds time, Random random);

    std::span<const std::byte> ram() const { return ram_; }
    const std::vector<PortAccess>& ports() const { return ports_; }
    uint64_t instructions() const { return vcpu_->instructions(); }

private:
    class Disturber;

    uint32_t port_read(uint16_t port, unsigned size) override;
    void port_write(uint16_t port, unsigned size, uint32_t value) override;
    uint64_t mmio_read(Gpa, unsigned) override { return ~uint64_t{0}; }
    void mmio_write(Gpa, unsigned, uint64_t) override {}

    void note(const PortAccess& access);
    Stop stop_of(const Exit& exit, bool out_of_time) const;
    void interrupt(uint8_t vector);
    void write_state_back();

    std::vector<std::byte> storage_;
    std::span<std::byte> ram_;
    GuestMemory memory_;
    FakeClock clock_;
    InterruptQueue interrupts_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Vcpu> vcpu_;
    std::vector<PortAccess> ports_;
    uint32_t reads_ = 0;
};

}  // namespace banyan::lockstep
