#include "app/cli/vm_sandbox.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "app/cli/png_file.hpp"
#include "backends/net/nat.hpp"
#include "host/linux/run_directory.hpp"
#include "host/linux/stderr_log.hpp"

namespace banyan {

namespace {

using landlock::Access;
using Places = std::vector<landlock::Place>;

bool has_net(const VmConfig& config, NetKind kind) {
    return std::ranges::any_of(config.nets, [&](const NetChoice& net) { return net.kind == kind; });
}

// libslirp looks who serves names for the host, and for random numbers. Programs that write
// resolv.conf have a directory for it below /run, to which the name in /etc leads: a new file is
// found there, too.
void add_of_nat(Places& places) {
    constexpr const char* kNameServers = "/etc/resolv.conf";
    places.push_back({kNameServers, Access::read_file});
    places.push_back({"/dev/urandom", Access::read_file});
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(kNameServers, nullptr),
                                                           &std::free);
    const std::string path(real != nullptr ? real.get() : "");
    if (path.starts_with("/run/"))
        places.push_back({path.substr(0, path.rfind('/')), Access::read});
}

std::string run_directory() {
    const auto directory = RunDirectory::open();
    return directory ? directory->path() : std::string();
}

SandboxNeeds needs_of(const VmConfig& config, const std::string& kept) {
    SandboxNeeds needs;
    needs.nat = has_net(config, NetKind::nat);
    needs.shares = !config.shares.empty();
    needs.files.push_back({"/dev/null", Access::device});
    // Figures and logs are written while the VM runs, and go with it.
    needs.files.push_back({run_directory(), Access::drop_files});
    if (!kept.empty()) needs.files.push_back({kept, Access::drop_files});
    if (needs.nat) add_of_nat(needs.files);
    for (const SharedDirectory& share : config.shares)
        needs.files.push_back({share.path, share.read_only ? Access::read : Access::write});
    for (const std::string& directory : config.writable)
        needs.files.push_back({directory, Access::write});
    return needs;
}

// Of the run directory's sockets the VM's process takes care itself.
BrokerTargets targets_of(const VmConfig& config, std::vector<std::string> sockets) {
    BrokerTargets targets;
    for (const NetChoice& net : config.nets) {
        if (net.kind == NetKind::network_switch) targets.sockets.push_back(net.socket);
    }
    if (config.vsock) {
        targets.prefixes.push_back(config.vsock->path + "_");
        sockets.push_back(config.vsock->path);
    }
    if (config.console.kind == ConsoleKind::socket) sockets.push_back(config.console.path);
    const std::string own = run_directory() + "/";
    std::erase_if(sockets, [&](const std::string& path) {
        return path.empty() || (own.size() > 1 && path.starts_with(own));
    });
    targets.removed = std::move(sockets);
    return targets;
}

}  // namespace

Result<VmSandbox> VmSandbox::prepare(const VmConfig& config, std::vector<std::string> sockets,
                                     std::string kept) {
    VmSandbox sandbox(config, std::move(kept));
    // What runs in a sandbox loads no programs.
    if (config.sandbox != SandboxMode::off && has_net(config, NetKind::nat)) Nat::load_library();
    const BrokerTargets targets = targets_of(config, std::move(sockets));
    if (config.sandbox == SandboxMode::off || targets.empty()) return sandbox;
    TRY_ASSIGN(broker, SocketBroker::start(targets));
    sandbox.broker_ = std::move(broker);
    return sandbox;
}

Result<void> VmSandbox::enter() {
    if (!config_.writable.empty()) load_png_library();
    TRY_ASSIGN(report, enter_sandbox(config_.sandbox, needs_of(config_, kept_)));
    if (broker_ != nullptr) broker_->remember_files();
    report_ = std::move(report);
    if (!report_.weaker.empty()) print_message("warning: sandbox: " + report_.weaker);
    return {};
}

std::string_view name_of(SandboxMode mode) {
    constexpr std::array<std::string_view, 3> kNames{"off", "on", "log"};
    return kNames.at(static_cast<size_t>(mode));
}

void add_sandbox_command(qmp::Commands& commands, const VmSandbox& sandbox) {
    commands.add({.name = "query-sandbox", .run = [&sandbox](const qmp::Arguments&) -> qmp::Answer {
                      const SandboxReport& report = sandbox.report();
                      return qmp::Json{{"mode", name_of(report.mode)},
                                       {"seccomp", report.seccomp},
                                       {"landlock", report.landlock},
                                       {"weaker", report.weaker}};
                  }});
}

}  // namespace banyan
