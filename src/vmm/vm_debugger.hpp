// VmDebugger: VmDebug for the vCPUs and the memory of a Vm.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "host/posix/notifier.hpp"
#include "vm/guest_memory.hpp"
#include "vmm/breakpoints.hpp"
#include "vmm/lifecycle.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

class VmDebugger final : public VmDebug {
public:
    struct Wiring {
        VmApi& vm;
        Lifecycle& lifecycle;
        GuestMemory& memory;
    };
    static Result<std::unique_ptr<VmDebugger>> create(Poller& poller, const Wiring& wiring);
    VmDebugger(const VmDebugger&) = delete;
    VmDebugger& operator=(const VmDebugger&) = delete;

    unsigned cpu_count() const override { return vcpus().size(); }
    void stop_at_start() override { halt(); }
    void attach(DebugClient& client) override;
    void detach() override;
    void resume(std::span<const DebugMotion> motions) override;
    void interrupt() override;
    void get_registers(unsigned vcpu, x86::RegisterState& state) const override;
    Result<void> set_registers(unsigned vcpu, const x86::RegisterState& state) override;
    size_t read_memory(unsigned vcpu, uint64_t address, std::span<std::byte> to) const override;
    size_t write_memory(unsigned vcpu, uint64_t address, std::span<const std::byte> from) override;
    Result<void> plant(unsigned vcpu, uint64_t address) override;
    void lift(uint64_t address) override { breakpoints_.lift(address); }
    Result<void> watch(const DebugPoint& point) override;
    void unwatch(const DebugPoint& point) override;
    void reset() override;
    void end(std::string_view why) override { wiring_.vm.stop(why, VmCause::host_ui); }

    // On the vCPU's thread: its run() has left with `debug`.
    void on_vcpu_stop(unsigned index, const DebugStop& why);
    // The machine is being reset, and its memory is loaded anew: what was planted is taken out, and
    // what is watched stays.
    void forget_memory();

private:
    explicit VmDebugger(const Wiring& wiring);

    VcpuGroup& vcpus() const { return wiring_.lifecycle.vcpus(); }
    void halt();
    void ask_vcpus();
    void report();
    std::optional<VcpuStop> take_stop();
    bool has_missed_stop();

    const Wiring wiring_;
    std::unique_ptr<Notifier> stopped_;  // report(), on the loop's thread
    Breakpoints breakpoints_;
    std::vector<DebugPoint> points_;
    std::vector<DebugMotion> motions_;
    DebugClient* client_ = nullptr;
    bool halted_ = false;  // by us

    std::mutex mutex_;             // a leaf
    std::vector<VcpuStop> stops_;  // not reported yet; guarded by mutex_
};

}  // namespace banyan
