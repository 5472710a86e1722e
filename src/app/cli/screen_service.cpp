#include "app/cli/screen_service.hpp"

#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/posix/host_error.hpp"

namespace banyan {

Result<std::unique_ptr<ScreenService>> ScreenService::start(Poller& poller, VmApi& vm,
                                                            const std::string& path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("listen at {}: the name is too long for a socket; set "
                                "XDG_RUNTIME_DIR to a shorter one",
                                quote_name(path)));
    }
    ::unlink(path.c_str());
    auto service = std::unique_ptr<ScreenService>(new ScreenService());
    if (vm.input() != nullptr) {
        TRY_ASSIGN(keys, KeyFeeder::create(poller, *vm.input()));
        service->keys_ = std::move(keys);
    }
    auto* const raw = service.get();
    service->session_ = std::make_unique<ScreenSession>(
        ScreenSession::Wiring{.display = vm.display(),
                              .input = vm.input(),
                              .keys = service->keys_.get(),
                              .send = [raw](std::string_view b) { raw->socket_->send(b); }});
    ScreenSession& session = *service->session_;
    TRY_ASSIGN(socket, SocketServer::listen(
                           poller, {path, "", ""},
                           {.connected = [&session] { session.reset(); },
                            .received = [&session](std::string_view b) { session.received(b); },
                            .disconnected = [&session] { session.reset(); }}));
    service->socket_ = std::move(socket);
    return service;
}

}  // namespace banyan
