#include "vmm/console.hpp"

#include <unistd.h>

#include "backends/char/pty.hpp"

namespace banyan {

namespace {

CharStreamConfig stdio_config(Console::Events events) {
    CharStreamConfig config;
    config.name = "standard output";
    config.in = StreamFd::borrow(STDIN_FILENO, StreamFd::Direction::in);
    config.out = StreamFd::borrow(STDOUT_FILENO, StreamFd::Direction::out);
    if (::isatty(STDIN_FILENO) != 0) {
        config.leave_key = Console::kLeaveKey;
        config.on_leave = std::move(events.leave);
    }
    // A terminal that is lost sends SIGHUP, which ends the run by itself.
    if (::isatty(STDOUT_FILENO) == 0) config.on_output_lost = std::move(events.output_lost);
    return config;
}

CharStreamConfig pty_config(Pty& pty) {
    CharStreamConfig config;
    config.name = pty.path;
    config.in = std::move(pty.in);
    config.out = std::move(pty.out);
    config.drop_when_full = true;
    return config;
}

}  // namespace

Result<std::unique_ptr<Console>> Console::create(const ConsoleChoice& choice, Poller& poller,
                                                 Events events) {
    auto console = std::make_unique<Console>();
    switch (choice.kind) {
        case ConsoleKind::none: break;
        case ConsoleKind::stdio:
            console->stream_ =
                std::make_unique<CharStream>(poller, stdio_config(std::move(events)));
            break;
        case ConsoleKind::pty: {
            TRY_ASSIGN(pty, open_pty());
            console->place_ = pty.path;
            console->terminal_ = std::move(pty.terminal);
            console->stream_ = std::make_unique<CharStream>(poller, pty_config(pty));
            break;
        }
        case ConsoleKind::file: {
            TRY_ASSIGN(file, CharFile::create(choice.path, "write the console to"));
            console->file_ = std::move(file);
            break;
        }
        case ConsoleKind::socket: {
            TRY_ASSIGN(socket, ConsoleSocket::create(poller, choice.path, choice.log));
            console->socket_ = std::move(socket);
            console->place_ = choice.path;
            break;
        }
    }
    return console;
}

CharPortConfig Console::port() {
    if (stream_ != nullptr) return {stream_.get(), stream_.get()};
    if (socket_ != nullptr) return {socket_.get(), socket_.get()};
    return {file_.get(), nullptr};
}

Result<void> Console::connect(CharClient& client) {
    if (socket_ != nullptr) socket_->connect(client);
    return stream_ != nullptr ? stream_->connect(client) : Result<void>{};
}

void Console::disconnect() {
    if (stream_ != nullptr) stream_->disconnect();
    if (socket_ != nullptr) socket_->disconnect();
}

}  // namespace banyan
