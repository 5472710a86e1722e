// The sandbox of the process that runs a VM: what it still needs, by the VM's configuration.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/qmp/commands.hpp"
#include "host/sandbox/sandbox.hpp"
#include "host/sandbox/socket_broker.hpp"
#include "support/result.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

class VmSandbox {
public:
    // While the process has one thread. `sockets`: paths that others listen at for this VM, beside
    // those of its configuration; empty ones do not count.
    static Result<VmSandbox> prepare(const VmConfig& config, std::vector<std::string> sockets);

    // When all is set up, before the guest runs.
    Result<void> enter();
    const SandboxReport& report() const { return report_; }

private:
    explicit VmSandbox(const VmConfig& config) : config_(config) {}

    const VmConfig& config_;
    std::unique_ptr<SocketBroker> broker_;  // null: there is nothing for one to do
    SandboxReport report_;
};

// query-sandbox, which is Banyan's own. `sandbox` outlives the commands.
void add_sandbox_command(qmp::Commands& commands, const VmSandbox& sandbox);

// "on", as the option has it.
std::string_view name_of(SandboxMode mode);

}  // namespace banyan
