// ConsoleSocket: a console at a Unix socket: several clients see the same and type at the same.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/linux/stream_server.hpp"
#include "host/posix/notifier.hpp"
#include "host/posix/rotating_file.hpp"
#include "vm/backend.hpp"

namespace banyan {

// A new client is shown the last kMostRecent bytes. A client that does not read is let go, so that
// it holds up nobody; without clients the output goes to the log alone, if there is one.
class ConsoleSocket final : public CharBackend, public CharSource {
public:
    static constexpr size_t kMostRecent = 16 << 10;
    static constexpr size_t kMostWaiting = 256 << 10;  // until the event loop sends it
    static constexpr size_t kTypeAhead = 16 << 10;
    static constexpr size_t kLargestLog = 512 << 10;  // two such files

    // `log`: a path, or empty.
    static Result<std::unique_ptr<ConsoleSocket>> create(Poller& poller, const std::string& path,
                                                         const std::string& log);
    ~ConsoleSocket();
    ConsoleSocket(const ConsoleSocket&) = delete;
    ConsoleSocket& operator=(const ConsoleSocket&) = delete;

    // Input flows, and on_writable() comes, between these two. On the poller's thread, or while it
    // does not run.
    void connect(CharClient& client);
    void disconnect();

    // From any thread.
    size_t write(std::span<const uint8_t> bytes) override;
    void receive_room_available() override;

private:
    class Session;

    ConsoleSocket() = default;
    void typed(std::string_view bytes);
    void work();
    void send_waiting();
    void deliver();
    void read_if_room();

    CharClient* client_ = nullptr;
    std::unique_ptr<RotatingFile> log_;  // null: none
    std::unique_ptr<Notifier> work_;     // work(), on the poller's thread
    std::vector<uint8_t> ahead_;         // typed and not delivered
    std::string recent_;

    std::mutex mutex_;  // a leaf
    std::string waiting_;
    bool starved_ = false;  // the device waits for room in waiting_

    std::list<SocketConnection*> connections_;
    std::unique_ptr<StreamServer> server_;  // first to go: its clients use the above
};

}  // namespace banyan
