// ScreenService: where other programs of the same user reach the screen and keyboard of the VM that
// this process runs.
#pragma once

#include <memory>
#include <string>

#include "app/screen/screen_session.hpp"
#include "host/linux/socket_server.hpp"
#include "vmm/vm_api.hpp"

namespace banyan {

class ScreenService {
public:
    // At `path`, which is free or left over from a process that has died.
    static Result<std::unique_ptr<ScreenService>> start(Poller& poller, VmApi& vm,
                                                        const std::string& path);
    ScreenService(const ScreenService&) = delete;
    ScreenService& operator=(const ScreenService&) = delete;

private:
    ScreenService() = default;

    std::unique_ptr<KeyFeeder> keys_;  // null: the VM has no keyboard
    std::unique_ptr<ScreenSession> session_;
    std::unique_ptr<SocketServer> socket_;
};

}  // namespace banyan
