// VncServer: shows a VM's screen to VNC clients and types what they type. Single-threaded.
#pragma once

#include <chrono>
#include <memory>
#include <rfb/rfb.h>
#include <set>
#include <string>
#include <vector>

#include "app/screen/screen_client.hpp"
#include "app/vnc/vnc_listener.hpp"

namespace banyan {

class VncServer {
public:
    struct Config {
        std::string name;      // of the VM
        std::string password;  // empty: none is asked for
    };
    static Result<std::unique_ptr<VncServer>> create(Config config, VncListener listener,
                                                     ScreenClient screen);
    ~VncServer();
    VncServer(const VncServer&) = delete;
    VncServer& operator=(const VncServer&) = delete;

    // Until the VM is gone.
    void run();

private:
    using SteadyClock = std::chrono::steady_clock;

    VncServer(Config config, VncListener listener, ScreenClient screen);

    bool has_clients() const { return server_->clientHead != nullptr; }
    void wait_for_client();
    void accept_clients();
    Result<void> update();
    void show(const DisplayChange& change);
    void key(bool pressed, uint32_t symbol);
    void pointer(unsigned buttons, int x, int y);
    void release_keys();
    void lose(const Result<void>& result);

    const Config config_;
    const VncListener listener_;
    ScreenClient screen_;
    bool lost_ = false;  // the VM

    DisplayFrame frame_;           // as the VM has it
    std::vector<uint32_t> shown_;  // as libvncserver has it: red in the lowest byte
    char* passwords_[2] = {nullptr, nullptr};
    rfbScreenInfo* server_ = nullptr;
    SteadyClock::time_point next_update_;

    std::set<uint8_t> pressed_;
    bool pointer_known_ = false;
    int x_ = 0;
    int y_ = 0;
    unsigned buttons_ = 0;
};

}  // namespace banyan
