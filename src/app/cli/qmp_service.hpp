// QmpService: where others control the VM that this process runs, in QMP.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/cli/resource_service.hpp"
#include "app/screen/key_feeder.hpp"
#include "control/qmp/server.hpp"
#include "host/linux/stream_server.hpp"

namespace banyan {

class QmpService {
public:
    // Knows all commands, and listens nowhere yet.
    static Result<std::unique_ptr<QmpService>> create(Poller& poller, VmApi& vm,
                                                      ResourceService& resources);
    QmpService(const QmpService&) = delete;
    QmpService& operator=(const QmpService&) = delete;

    // Owners of other parts of the VM add theirs, before there are clients.
    qmp::Commands& commands() { return server_.commands(); }

    // At a Unix socket, which only this user may use.
    Result<void> listen(const std::string& path);

private:
    QmpService(Poller& poller, VmApi& vm);

    Poller& poller_;
    std::unique_ptr<KeyFeeder> keys_;  // null: the VM has no keyboard
    qmp::Server server_;
    std::vector<std::unique_ptr<StreamServer>> sockets_;  // go first
};

// screendump and send-key (QEMU's qapi/ui.json). `keys`: null, or outlives them.
void add_screen_commands(qmp::Commands& commands, VmApi& vm, KeyFeeder* keys);
// Banyan's own, for `banyan device`: __org.banyan_device-add takes what the command line gives.
void add_device_options_commands(qmp::Commands& commands, VmApi& vm);
// __org.banyan_query-resources and __org.banyan_set-resources.
void add_resource_commands(qmp::Commands& commands, ResourceService& resources);

}  // namespace banyan
