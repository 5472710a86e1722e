#include "app/cli/qmp_service.hpp"

#include <chrono>

namespace banyan {

namespace {

qmp::Time now() {
    return std::chrono::duration_cast<qmp::Time>(
        std::chrono::system_clock::now().time_since_epoch());
}

class QmpSession final : public StreamSession {
public:
    QmpSession(qmp::Server& server, SocketConnection& connection)
        : client_(server, [&connection](std::string_view bytes) { connection.send(bytes); }) {}
    void received(std::string_view bytes) override { client_.received(bytes); }

private:
    qmp::Server::Client client_;
};

}  // namespace

QmpService::QmpService(Poller& poller, VmApi& vm)
    : poller_(poller), server_(vm, BANYAN_VERSION, now) {}

Result<std::unique_ptr<QmpService>> QmpService::create(Poller& poller, VmApi& vm,
                                                       ResourceService& resources) {
    auto service = std::unique_ptr<QmpService>(new QmpService(poller, vm));
    if (vm.input() != nullptr) {
        TRY_ASSIGN(keys, KeyFeeder::create(poller, *vm.input()));
        service->keys_ = std::move(keys);
    }
    add_device_options_commands(service->server_.commands(), vm);
    add_screen_commands(service->server_.commands(), vm, service->keys_.get());
    add_resource_commands(service->server_.commands(), resources);
    return service;
}

Result<void> QmpService::listen(const std::string& path) {
    TRY_ASSIGN(socket,
               StreamServer::listen(poller_, {path, "", ""}, [this](SocketConnection& connection) {
                   return std::make_unique<QmpSession>(server_, connection);
               }));
    sockets_.push_back(std::move(socket));
    return {};
}

}  // namespace banyan
