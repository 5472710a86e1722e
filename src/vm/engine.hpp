// Engines: what executes guest instructions. The same interface for the interpreter, the JIT and
// KVM.
//
// One thread drives one Vcpu by run(). Other threads may call kick() at any time, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "support/result.hpp"
#include "vm/address.hpp"
#include "vm/clock.hpp"
#include "vm/debug.hpp"
#include "vm/doorbells.hpp"
#include "vm/engine_apics.hpp"
#include "vm/guest_memory.hpp"
#include "vm/poller.hpp"
#include "vm/statistics.hpp"

namespace banyan {

class StateReader;
class StateWriter;

// How a vCPU reaches the rest of its machine. Thread-safe; the board implements it.
class CpuIo {
public:
    virtual uint32_t port_read(uint16_t port, unsigned size) = 0;  // size 1, 2, 4
    virtual void port_write(uint16_t port, unsigned size, uint32_t value) = 0;
    // Accesses outside RAM and ROM. size 1..8, never crossing a page.
    virtual uint64_t mmio_read(Gpa gpa, unsigned size) = 0;
    virtual void mmio_write(Gpa gpa, unsigned size, uint64_t value) = 0;

protected:
    ~CpuIo() = default;
};

// The input clock of the local APIC's timer: what an engine announces in CPUID leaf 4000'0010H and,
// as the core crystal clock, in leaf 15H.
inline constexpr uint64_t kApicTimerHz = 1'000'000'000;

// The vCPU's side of its local APIC (devices/chipset/local_apic.hpp), for engines without one of
// their own. All calls but pending() come from the vCPU's own thread.
class CpuInterrupts {
public:
    // True when an unmasked interrupt (from the APIC above its priority, or the 8259s) waits.
    // Cheap: one atomic load.
    virtual bool interrupt_pending() const = 0;
    // The CPU takes the interrupt: its vector, or nothing if it went away meanwhile.
    virtual std::optional<uint8_t> acknowledge_interrupt() = 0;

    // CR8: the task priority class, 0..15.
    virtual uint8_t read_cr8() const = 0;
    virtual void write_cr8(uint8_t priority) = 0;
    // IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC range 0x800..0x8FF. False: #GP(0).
    virtual bool read_apic_msr(uint32_t index, uint64_t& value) = 0;
    virtual bool write_apic_msr(uint32_t index, uint64_t value) = 0;
    // MSR_KVM_PV_EOI_EN (KVM paravirtual end of interrupt). False: #GP(0).
    virtual bool set_pv_eoi(uint64_t msr) = 0;
    virtual uint64_t pv_eoi() const = 0;
    // The guest's TSC is Clock::tsc() + offset from now on: TSC deadlines move with it.
    virtual void set_tsc_offset(uint64_t /*offset*/) {}

protected:
    ~CpuInterrupts() = default;
};

// Signals from the machine to a vCPU, from any thread. Several may be merged.
class VcpuSignals {
public:
    virtual void raise_interrupt() = 0;  // CpuInterrupts::interrupt_pending() may have become true
    virtual void raise_nmi() = 0;
    virtual void raise_smi() = 0;  // ignored by engines without SMM
    virtual void raise_init() = 0;
    virtual void raise_sipi(uint8_t vector) = 0;

protected:
    ~VcpuSignals() = default;
};

enum class ExitReason : uint8_t {
    interrupted,     // kick() was called
    halted,          // HLT, or waiting for SIPI: run() again when Vcpu::has_work()
    shutdown,        // triple fault
    internal_error,  // the engine met what it does not implement; Exit::text says what
    debug,           // what set_debug() asked for has come; Exit::debug says what
};

struct Exit {
    ExitReason reason = ExitReason::interrupted;
    std::string_view text = {};  // valid until the next run()
    DebugStop debug = {};
};

// Wakes the thread that sleeps for a halted vCPU. Called from any thread by Vcpu implementations
// when work arrives.
class VcpuWaker {
public:
    virtual void wake() = 0;

protected:
    ~VcpuWaker() = default;
};

struct VcpuWiring {
    unsigned index = 0;  // 0 is the boot processor; also the APIC id
    CpuIo* io = nullptr;
    CpuInterrupts* interrupts = nullptr;  // null: the engine has local APICs of its own
    VcpuWaker* waker = nullptr;
    // The 8259s, where the engine's own APIC has them at LINT0: else null. A rise of INTR is told
    // by VcpuSignals::raise_interrupt().
    ExtIntSource* ext_int = nullptr;
};

namespace x86 {
struct RegisterState;
}

class Vcpu {
public:
    virtual ~Vcpu() = default;

    // Runs until something needs the caller. On the vCPU's own thread.
    virtual Exit run() = 0;
    // Makes run() return soon with `interrupted`; remembered if it is not running.
    virtual void kick() = 0;
    // After `halted`: is there something to run for? From any thread.
    virtual bool has_work() const = 0;

    virtual VcpuSignals& signals() = 0;

    // The architectural state, in the form that all engines share. Only while run() is not on.
    virtual void get_state(x86::RegisterState& state) const = 0;
    virtual Result<void> set_state(const x86::RegisterState& state) = 0;
    // Power-on (index 0 starts at the reset vector, others wait for SIPI).
    virtual void reset() = 0;

    // For a debugger; both only while run() is not on.
    // What run() leaves with `debug` for, until another request replaces it; reset() keeps it.
    virtual Result<void> set_debug(const DebugRequest& request) = 0;
    // Where a linear address is, by the vCPU's page tables, which are not changed. Nothing: it is
    // not mapped.
    virtual std::optional<Gpa> translate(uint64_t linear) const = 0;

    // Instructions retired so far; 0: the engine does not count them. From any thread.
    virtual uint64_t instructions() const = 0;
    // What the engine counts, in an order to show it in; instructions() are not among it. From any
    // thread.
    virtual Statistics statistics() const { return {}; }
};

// Told of host code that an engine makes, for profilers. Called by the vCPUs' threads.
class HostCodeListener {
public:
    // `name` says what of the guest it is.
    virtual void on_host_code(const void* start, size_t size, std::string_view name) = 0;

protected:
    ~HostCodeListener() = default;
};

struct EngineConfig {
    GuestMemory* memory = nullptr;
    const Clock* clock = nullptr;
    unsigned cpu_count = 1;
    HostCodeListener* host_code = nullptr;  // may be null
    Poller* poller = nullptr;               // whose thread gets doorbells; null: there are none
};

class Engine {
public:
    virtual ~Engine() = default;
    virtual std::string_view name() const = 0;
    // All vCPUs are created before the first runs; index counts from 0.
    virtual Result<std::unique_ptr<Vcpu>> create_vcpu(const VcpuWiring& wiring) = 0;
    // Dirty logging has marked pages clean: writes must be noticed again from now on. From any
    // thread.
    virtual void drop_write_mappings() = 0;
    // Tells GuestMemory of writes that the engine has noticed without telling yet: before
    // GuestMemory::take_dirty(). From any thread.
    virtual void collect_dirty() {}

    // For the board, instead of local APICs of its own; null: the engine has none.
    virtual EngineApics* apics() { return nullptr; }
    // Takes doorbells off the vCPUs; null: the engine calls devices directly.
    virtual EngineDoorbells* doorbells() { return nullptr; }
    // The guest's time goes on after a pause, from what the clock shows. While no vCPU runs.
    virtual void clock_changed() {}
};

}  // namespace banyan
