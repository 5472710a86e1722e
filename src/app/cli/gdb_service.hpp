// GdbService: `--gdb`: a place where GDB finds the VM.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "control/gdb/server.hpp"
#include "host/linux/socket_server.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

struct GdbChoice {
    SocketAddress address;
    bool wait = false;  // the guest does not begin before GDB lets it

    friend bool operator==(const GdbChoice&, const GdbChoice&) = default;
};

// "ADDRESS[,wait]".
Result<GdbChoice> parse_gdb(std::string_view text);

class GdbService final : private gdb::GdbOutput {
public:
    // Before the VM's run; says on standard error where it is.
    static Result<std::unique_ptr<GdbService>> start(Poller& poller, VmApi& vm,
                                                     const GdbChoice& choice);
    GdbService(const GdbService&) = delete;
    GdbService& operator=(const GdbService&) = delete;

    // The VM's run is over.
    void finish(int exit_status) { server_.ended(exit_status); }

private:
    explicit GdbService(VmApi& vm) : server_(vm.debug(), *this) {}
    void send(std::string_view bytes) override { socket_->send(bytes); }

    gdb::GdbServer server_;
    std::unique_ptr<SocketServer> socket_;
};

}  // namespace banyan
