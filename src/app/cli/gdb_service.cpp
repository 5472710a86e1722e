#include "app/cli/gdb_service.hpp"

#include <fmt/format.h>

#include "host/linux/stderr_log.hpp"

namespace banyan {

Result<GdbChoice> parse_gdb(std::string_view text) {
    constexpr std::string_view kWait = ",wait";
    GdbChoice choice;
    choice.wait = text.ends_with(kWait);
    if (choice.wait) text.remove_suffix(kWait.size());
    auto address = parse_socket_address(text);
    if (!address)
        return fail(ErrorCode::invalid_argument, fmt::format("--gdb {}", address.error().text()));
    choice.address = std::move(*address);
    return choice;
}

Result<std::unique_ptr<GdbService>> GdbService::start(Poller& poller, VmApi& vm,
                                                      const GdbChoice& choice) {
    auto service = std::unique_ptr<GdbService>(new GdbService(vm));
    gdb::GdbServer& server = service->server_;
    TRY_ASSIGN(socket, SocketServer::listen(
                           poller, choice.address,
                           {.connected = [&server] { server.connected(); },
                            .received = [&server](std::string_view b) { server.received(b); },
                            .disconnected = [&server] { server.disconnected(); }}));
    service->socket_ = std::move(socket);
    if (choice.wait) vm.debug().stop_at_start();
    print_message(fmt::format("gdb: the guest {} at {}; in gdb type: target remote {}",
                              choice.wait ? "waits for a debugger" : "can be debugged",
                              service->socket_->place(), service->socket_->place()));
    return service;
}

}  // namespace banyan
