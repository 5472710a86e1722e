// The sandbox of the process that runs a VM: what it still needs, by the VM's configuration.
#pragma once

#include <memory>
#include <string>
#include <utility>
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
    // those of its configuration; empty ones do not count. `kept`: the directory of a VM that is
    // stored, or empty.
    static Result<VmSandbox> prepare(const VmConfig& config, std::vector<std::string> sockets,
                                     std::string kept);

    // When all is set up, before the guest runs.
    Result<void> enter();
    const SandboxReport& report() const { return report_; }

private:
    VmSandbox(const VmConfig& config, std::string kept) : config_(config), kept_(std::move(kept)) {}

    const VmConfig& config_;
    std::string kept_;
    std::unique_ptr<SocketBroker> broker_;  // null: there is nothing for one to do
    SandboxReport report_;
};

// query-sandbox, which is Banyan's own. `sandbox` outlives the commands.
void add_sandbox_command(qmp::Commands& commands, const VmSandbox& sandbox);

// "on", as the option has it.
std::string_view name_of(SandboxMode mode);

}  // namespace banyan
