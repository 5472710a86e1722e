// Console: where the guest's serial port leads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backends/char/char_file.hpp"
#include "backends/char/char_stream.hpp"
#include "machine/boards/board.hpp"
#include "vm/poller.hpp"
#include "vmm/console_socket.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

class Console {
public:
    static constexpr uint8_t kLeaveKey = 0x1D;  // Ctrl-]

    struct Events {
        std::function<void()> leave;  // the leave key was typed at a terminal; the poller's thread
        // Standard output, no terminal, cannot be written any more; any thread.
        std::function<void(const std::string& why)> output_lost;
    };
    static Result<std::unique_ptr<Console>> create(const ConsoleChoice& choice, Poller& poller,
                                                   Events events);

    CharPortConfig port();
    // The name of a pseudo-terminal or socket; else empty.
    const std::string& place() const { return place_; }

    Result<void> connect(CharClient& client);
    // While no vCPU runs.
    void disconnect();

private:
    std::unique_ptr<CharFile> file_;
    std::unique_ptr<CharStream> stream_;
    std::unique_ptr<ConsoleSocket> socket_;
    UniqueFd terminal_;
    std::string place_;
};

}  // namespace banyan
