// Lifecycle: from a VM's first instruction to its end: who may ask for what, and what becomes of
// it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "host/linux/event_loop.hpp"
#include "host/posix/notifier.hpp"
#include "vm/machine_control.hpp"
#include "vmm/vcpu_group.hpp"
#include "vmm/vm_event.hpp"

namespace banyan {

struct LifecycleConfig {
    unsigned cpus = 1;
    bool reboot = true;
    // Brings the machine, whose vCPUs stand still, back to its first instruction.
    std::function<Result<void>()> restart;
    // A vCPU has stopped for a debugger; on its thread.
    std::function<void(unsigned index, const DebugStop& why)> debug_stop = {};
    // What becomes of the VM; on the event loop's thread.
    std::function<void(const VmEvent& event)> tell = [](const VmEvent&) {};
};

// Chips, vCPUs and users ask from any thread; the first request wins and holds the vCPUs; it is
// carried out on the event loop's thread. A stop() wins over whatever else was asked for.
class Lifecycle final : public MachineControl, private VcpuExitSink {
public:
    static Result<std::unique_ptr<Lifecycle>> create(EventLoop& loop, LifecycleConfig config);
    Lifecycle(const Lifecycle&) = delete;
    Lifecycle& operator=(const Lifecycle&) = delete;

    // To attach vCPUs before run().
    VcpuGroup& vcpus() { return vcpus_; }

    // Starts the vCPUs and returns, with all of them ended, how it went. Once.
    VmOutcome run();

    void request(MachineEvent event, uint32_t value) override;
    void watchdog_expired(MachineEvent action) override;
    // As the button of that name would; from any thread.
    void reset();
    void stop(std::string_view why, VmCause cause);
    // The console that the VM was started for is gone: ends the run as failed. From any thread.
    void lose_console(std::string_view why);

private:
    struct Request {
        VmOutcome outcome;
        bool by_watchdog = false;
    };

    void end_from_outside(VmOutcome outcome);
    Lifecycle(EventLoop& loop, LifecycleConfig config);

    void on_vcpu_exit(unsigned index, const Vcpu& vcpu, const Exit& exit) override;
    void ask(VmOutcome outcome, bool by_watchdog = false);
    void carry_out();
    void restart(VmCause cause);
    void end(VmOutcome outcome);
    std::optional<Request> take_request();

    EventLoop& loop_;
    const LifecycleConfig config_;
    std::unique_ptr<Notifier> asked_;  // carry_out(), on the loop's thread

    std::mutex mutex_;  // a leaf
    std::optional<Request> request_;
    std::optional<Request> stop_;

    VmOutcome outcome_;
    VcpuGroup vcpus_;  // last: its threads use all of the above
};

}  // namespace banyan
