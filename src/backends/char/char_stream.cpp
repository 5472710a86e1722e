#include "backends/char/char_stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include "host/posix/host_error.hpp"
#include "support/assert.hpp"
#include "support/log.hpp"

namespace banyan {

CharStream::CharStream(Poller& poller, CharStreamConfig config)
    : poller_(poller), config_(std::move(config)) {
    BANYAN_ASSERT(!config_.in.valid() || config_.in.handle() != config_.out.handle());
}

CharStream::~CharStream() {
    disconnect();
}

Result<void> CharStream::connect(CharClient& client) {
    TRY_ASSIGN(room, Notifier::create(poller_, [this] { deliver(); }));
    if (config_.out.valid()) TRY(poller_.watch(config_.out.handle(), {}, *this));
    client_ = &client;
    room_ = std::move(room);
    // Standard input may be closed (<&-): there is no input then.
    reading_ = config_.in.valid() && poller_.watch(config_.in.handle(), {.readable = true}, *this);
    return {};
}

void CharStream::disconnect() {
    if (client_ == nullptr) return;
    if (config_.in.valid()) poller_.unwatch(config_.in.handle());
    if (config_.out.valid()) poller_.unwatch(config_.out.handle());
    room_.reset();
    client_ = nullptr;
    starved_ = false;
}

size_t CharStream::write(std::span<const uint8_t> bytes) {
    if (output_lost_.load(std::memory_order_relaxed) || !config_.out.valid()) return bytes.size();
    size_t written = 0;
    while (written < bytes.size()) {
        const ssize_t count = config_.out.write(bytes.subspan(written));
        if (count > 0) {
            written += static_cast<size_t>(count);
        } else if (count < 0 && errno == EAGAIN) {
            if (config_.drop_when_full) return bytes.size();
            want_writable(true);
            return written;
        } else {
            lose_output(count < 0 ? errno : EIO);
            return bytes.size();
        }
    }
    return written;
}

void CharStream::want_writable(bool wanted) {
    poller_.set_interest(config_.out.handle(), {.writable = wanted});
}

void CharStream::lose_output(int error_number) {
    if (output_lost_.exchange(true)) return;
    if (config_.on_output_lost) {
        config_.on_output_lost(errno_text(error_number));
        return;
    }
    LOG_WARNING("console", "%s cannot be written: %s; its output is dropped from now on",
                config_.name.c_str(), errno_text(error_number).c_str());
}

// With the device's lock held: input is brought from the poller's thread.
void CharStream::receive_room_available() {
    if (starved_.exchange(false)) room_->notify();
}

void CharStream::on_ready(Readiness ready) {
    if (ready.writable) {
        want_writable(false);
        client_->on_writable();
    }
    if (ready.readable) read_ahead();
}

void CharStream::read_ahead() {
    std::array<uint8_t, 1024> buffer;
    const size_t most = std::min(buffer.size(), kTypeAhead - ahead_.size());
    const ssize_t count = config_.in.read(std::span(buffer).first(most));
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        end_input();  // a lost terminal reads as EIO
        return;
    }
    const std::span<const uint8_t> bytes(buffer.data(), static_cast<size_t>(count));
    if (take_leave_key(bytes)) return;
    ahead_.insert(ahead_.end(), bytes.begin(), bytes.end());
    deliver();
    if (ahead_.size() == kTypeAhead) poller_.set_interest(config_.in.handle(), {});
}

void CharStream::end_input() {
    reading_ = false;
    poller_.set_interest(config_.in.handle(), {});
}

bool CharStream::take_leave_key(std::span<const uint8_t> bytes) {
    if (!config_.leave_key ||
        std::find(bytes.begin(), bytes.end(), *config_.leave_key) == bytes.end())
        return false;
    end_input();
    config_.on_leave();
    return true;
}

void CharStream::deliver() {
    size_t delivered = 0;
    while (delivered < ahead_.size()) {
        size_t room = client_->receive_room();
        if (room == 0) {
            // Asked once more: the device may have made room before it could see that we wait.
            starved_.store(true);
            room = client_->receive_room();
            if (room == 0) break;
        }
        const size_t count = std::min(room, ahead_.size() - delivered);
        client_->on_receive(std::span(ahead_).subspan(delivered, count));
        delivered += count;
    }
    if (delivered == 0) return;
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(delivered));
    if (reading_) poller_.set_interest(config_.in.handle(), {.readable = true});
}

}  // namespace banyan
