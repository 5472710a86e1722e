// ScreenClient: asks a ScreenSession; waits for each answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/screen/key_names.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"
#include "vm/display.hpp"
#include "vm/input.hpp"

namespace banyan {

class ScreenClient {
public:
    // The socket's path, as screen_socket() gives it.
    static Result<ScreenClient> connect(const std::string& path);

    // Brings `frame`, as the last call left it, up to date, and says what changed.
    Result<DisplayChange> update(DisplayFrame& frame);
    Result<std::string> text();
    Result<void> key(KeyStroke stroke);
    Result<void> pointer(const PointerEvent& event);
    // Fails with ErrorCode::io when the VM has gone. Does not ask it.
    Result<void> alive() const;

private:
    explicit ScreenClient(UniqueFd socket) : socket_(std::move(socket)) {}

    // What follows "ok".
    Result<std::string> ask(std::string_view request);
    Result<std::string> read_line();
    Result<void> read_bytes(char* to, size_t size);
    Result<void> read_lines(DisplayFrame& frame, uint32_t first, uint32_t count);

    UniqueFd socket_;
};

// Where the VM of a process can be asked, below a RunDirectory's path.
std::string screen_socket(const std::string& directory, int pid);

}  // namespace banyan
