// VmDebug: what a debugger may do with one VM. All at once: while one vCPU is looked at, all stand
// still, and so does the guest's time.
//
// On the event loop's thread, before or during VmApi::run(). Numbers of vCPUs count from 0; whoever
// calls has checked them against cpu_count(). Addresses are linear.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "arch/x86/register_state.hpp"
#include "support/result.hpp"
#include "vm/debug.hpp"

namespace banyan {

// What a vCPU is to do when the guest goes on.
enum class DebugMotion : uint8_t { stay, run, step };

struct VcpuStop {
    unsigned vcpu = 0;
    std::optional<DebugStop> why = {};  // nothing: interrupt() was called
};

class DebugClient {
public:
    // The guest stands still again.
    virtual void on_stopped(const VcpuStop& stop) = 0;

protected:
    ~DebugClient() = default;
};

class VmDebug {
public:
    virtual ~VmDebug() = default;

    virtual unsigned cpu_count() const = 0;

    // Before run(): the guest stands still from its first instruction on, until a client resumes it
    // or detaches.
    virtual void stop_at_start() = 0;
    // The guest stops, and nobody is told of it. One client at a time.
    virtual void attach(DebugClient& client) = 0;
    // What was planted and watched is gone, and the guest goes on.
    virtual void detach() = 0;

    // While stopped: one motion for each vCPU. on_stopped() follows when the first has stopped; it
    // never comes from within this call.
    virtual void resume(std::span<const DebugMotion> motions) = 0;
    // While resumed: on_stopped() follows, within this call.
    virtual void interrupt() = 0;

    // All that follows: while stopped.
    virtual void get_registers(unsigned vcpu, x86::RegisterState& state) const = 0;
    virtual Result<void> set_registers(unsigned vcpu, const x86::RegisterState& state) = 0;

    // RAM and ROM where the vCPU sees them, without what was planted. How many bytes were moved:
    // less, from the first on that is not mapped to memory (to RAM, for a write).
    virtual size_t read_memory(unsigned vcpu, uint64_t address, std::span<std::byte> to) const = 0;
    virtual size_t write_memory(unsigned vcpu, uint64_t address,
                                std::span<const std::byte> from) = 0;

    // An INT3 in RAM, where this vCPU sees the address. To plant or lift twice is to do it once.
    virtual Result<void> plant(unsigned vcpu, uint64_t address) = 0;
    virtual void lift(uint64_t address) = 0;
    virtual Result<void> watch(const DebugPoint& point) = 0;
    virtual void unwatch(const DebugPoint& point) = 0;

    // The machine is reset; stopped it stays.
    virtual void reset() = 0;
    // Ends the VM's run, as VmApi::stop() does.
    virtual void end(std::string_view why) = 0;
};

}  // namespace banyan
