// CharStream: a device's character stream to and from the outside, over descriptors: standard input
// and output, a pseudo-terminal.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/char/stream_fd.hpp"
#include "host/posix/notifier.hpp"
#include "vm/backend.hpp"
#include "vm/poller.hpp"

namespace banyan {

struct CharStreamConfig {
    std::string name;  // for messages: "the console"
    StreamFd in;       // not valid: no input
    StreamFd out;
    // Bytes that find no room are dropped instead of holding the guest up: for a pseudo-terminal
    // that nobody reads.
    bool drop_when_full = false;
    // This key is not passed on; it calls on_leave, on the poller's thread.
    std::optional<uint8_t> leave_key = std::nullopt;
    std::function<void()> on_leave = {};
    // The output cannot be written any more, for this reason. Called once, on the thread that
    // wrote. Without it a warning is logged.
    std::function<void(const std::string& why)> on_output_lost = {};
};

// Input is read ahead of the guest, up to kTypeAhead bytes, so that the leave key is seen although
// the guest reads nothing. Output is written by whoever calls write(). An output whose peer has
// gone swallows everything.
class CharStream final : public CharBackend, public CharSource, private PollClient {
public:
    static constexpr size_t kTypeAhead = 16 * 1024;

    CharStream(Poller& poller, CharStreamConfig config);
    ~CharStream();
    CharStream(const CharStream&) = delete;
    CharStream& operator=(const CharStream&) = delete;

    // Input flows, and on_writable() comes, between these two. disconnect() waits for a call that
    // is on; the device does not run meanwhile.
    Result<void> connect(CharClient& client);
    void disconnect();

    size_t write(std::span<const uint8_t> bytes) override;
    void receive_room_available() override;

private:
    void on_ready(Readiness ready) override;
    void read_ahead();
    void end_input();
    bool take_leave_key(std::span<const uint8_t> bytes);
    void deliver();
    void want_writable(bool wanted);
    void lose_output(int error_number);

    // wiring
    Poller& poller_;
    CharStreamConfig config_;
    CharClient* client_ = nullptr;
    std::unique_ptr<Notifier> room_;  // deliver(), on the poller's thread

    // bookkeeping of the poller's thread
    std::vector<uint8_t> ahead_;  // read and not delivered
    bool reading_ = false;

    // bookkeeping of any thread
    std::atomic<bool> starved_{false};  // deliver() waits for room
    std::atomic<bool> output_lost_{false};
};

}  // namespace banyan
