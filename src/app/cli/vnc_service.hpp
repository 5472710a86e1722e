// VncService: `--display vnc`: starts the program banyan-vnc, and gives it the screen.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "app/cli/screen_service.hpp"

namespace banyan {

struct VncChoice {
    std::string host = "127.0.0.1";
    uint16_t first_port = 5900;
    uint16_t last_port = 5999;
    std::string password_file;  // empty: no password is asked for

    friend bool operator==(const VncChoice&, const VncChoice&) = default;
};

// "vnc[=ADDR:PORT][,password=FILE]".
Result<VncChoice> parse_vnc(std::string_view text);

class VncService {
public:
    // Before the VM's run; says on standard error where it is.
    static Result<std::unique_ptr<VncService>> start(Poller& poller, VmApi& vm,
                                                     const std::string& name,
                                                     const VncChoice& choice);
    ~VncService();
    VncService(const VncService&) = delete;
    VncService& operator=(const VncService&) = delete;

private:
    VncService() = default;

    std::unique_ptr<ScreenService> screen_;
    pid_t helper_ = -1;
};

}  // namespace banyan
