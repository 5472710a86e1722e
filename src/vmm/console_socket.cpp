#include "vmm/console_socket.hpp"

#include <algorithm>

namespace banyan {

// One client, while it is there.
class ConsoleSocket::Session final : public StreamSession {
public:
    Session(ConsoleSocket& console, SocketConnection& connection)
        : console_(console), connection_(connection) {
        console_.send_waiting();
        connection_.send(console_.recent_);
        console_.connections_.push_back(&connection_);
    }
    ~Session() override { console_.connections_.remove(&connection_); }
    void received(std::string_view bytes) override { console_.typed(bytes); }

private:
    ConsoleSocket& console_;
    SocketConnection& connection_;
};

Result<std::unique_ptr<ConsoleSocket>> ConsoleSocket::create(Poller& poller,
                                                             const std::string& path,
                                                             const std::string& log) {
    auto console = std::unique_ptr<ConsoleSocket>(new ConsoleSocket());
    ConsoleSocket& raw = *console;
    TRY_ASSIGN(work, Notifier::create(poller, [&raw] { raw.work(); }));
    console->work_ = std::move(work);
    if (!log.empty()) {
        TRY_ASSIGN(file, RotatingFile::create(log, kLargestLog));
        console->log_ = std::move(file);
    }
    TRY_ASSIGN(server, StreamServer::listen(poller, {path, "", ""}, [&raw](SocketConnection& to) {
                   return std::make_unique<Session>(raw, to);
               }));
    console->server_ = std::move(server);
    return console;
}

ConsoleSocket::~ConsoleSocket() {
    disconnect();
    server_.reset();
}

void ConsoleSocket::connect(CharClient& client) {
    client_ = &client;
    work_->notify();
}

void ConsoleSocket::disconnect() {
    if (client_ == nullptr) return;
    client_ = nullptr;
    send_waiting();
}

size_t ConsoleSocket::write(std::span<const uint8_t> bytes) {
    size_t taken = 0;
    {
        const std::lock_guard lock(mutex_);
        taken = std::min(bytes.size(), kMostWaiting - waiting_.size());
        waiting_.append(reinterpret_cast<const char*>(bytes.data()), taken);
        starved_ |= taken < bytes.size();
    }
    if (log_ != nullptr) log_->write({reinterpret_cast<const char*>(bytes.data()), taken});
    work_->notify();
    return taken;
}

void ConsoleSocket::receive_room_available() {
    work_->notify();
}

void ConsoleSocket::work() {
    send_waiting();
    deliver();
}

void ConsoleSocket::send_waiting() {
    std::string bytes;
    bool starved = false;
    {
        const std::lock_guard lock(mutex_);
        bytes.swap(waiting_);
        std::swap(starved, starved_);
    }
    for (SocketConnection* connection : connections_)
        connection->send(bytes);
    recent_ += bytes;
    if (recent_.size() > kMostRecent) recent_.erase(0, recent_.size() - kMostRecent);
    if (starved && client_ != nullptr) client_->on_writable();
}

void ConsoleSocket::typed(std::string_view bytes) {
    ahead_.insert(ahead_.end(), bytes.begin(), bytes.end());
    deliver();
}

// A device that makes room afterwards says so, and this is called again.
void ConsoleSocket::deliver() {
    size_t delivered = 0;
    while (client_ != nullptr && delivered < ahead_.size()) {
        const size_t count = std::min(client_->receive_room(), ahead_.size() - delivered);
        if (count == 0) break;
        client_->on_receive(std::span(ahead_).subspan(delivered, count));
        delivered += count;
    }
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(delivered));
    read_if_room();
}

void ConsoleSocket::read_if_room() {
    for (SocketConnection* connection : connections_)
        connection->set_reading(ahead_.size() < kTypeAhead);
}

}  // namespace banyan
