#include "control/gdb/packet.hpp"

#include "control/gdb/words.hpp"

namespace banyan::gdb {

namespace {

constexpr char kInterrupt = 3;
constexpr char kEscape = '}';
constexpr char kEscapeMask = 0x20;

uint8_t checksum(std::string_view payload) {
    uint8_t sum = 0;
    for (const char c : payload)
        sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(c));
    return sum;
}

bool is_special(char c) {
    return c == '$' || c == '#' || c == '*' || c == kEscape;
}

}  // namespace

std::string frame(std::string_view payload) {
    const std::byte sum{checksum(payload)};
    std::string text = "$";
    text += payload;
    text += '#';
    return text + to_hex({&sum, 1});
}

std::string escape(std::string_view data) {
    std::string text;
    for (const char c : data) {
        if (is_special(c)) text += kEscape;
        text += is_special(c) ? static_cast<char>(c ^ kEscapeMask) : c;
    }
    return text;
}

std::string unescape(std::string_view data) {
    std::string text;
    for (size_t i = 0; i < data.size(); ++i) {
        const bool escaped = data[i] == kEscape && i + 1 < data.size();
        text += escaped ? static_cast<char>(data[++i] ^ kEscapeMask) : data[i];
    }
    return text;
}

std::optional<PacketReader::Event> PacketReader::take(char byte) {
    switch (state_) {
        case State::between: return take_between(byte);
        case State::payload: take_payload(byte); return std::nullopt;
        case State::first_digit:
            first_digit_ = byte;
            state_ = State::second_digit;
            return std::nullopt;
        case State::second_digit: return finish(byte);
    }
    return std::nullopt;
}

std::optional<PacketReader::Event> PacketReader::take_between(char byte) {
    switch (byte) {
        case '$': begin(); return std::nullopt;
        case '+': return Event{Kind::acknowledged};
        case '-': return Event{Kind::not_acknowledged};
        case kInterrupt: return Event{Kind::interrupt};
        default: return std::nullopt;
    }
}

void PacketReader::begin() {
    state_ = State::payload;
    payload_.clear();
    too_long_ = false;
    sum_ = 0;
}

// A `$` within a packet is escaped: unescaped it begins the next one, and the end of this was lost.
void PacketReader::take_payload(char byte) {
    if (byte == '$') return begin();
    if (byte == '#') {
        state_ = State::first_digit;
        return;
    }
    sum_ = static_cast<uint8_t>(sum_ + static_cast<uint8_t>(byte));
    too_long_ |= payload_.size() == kPacketSize;
    if (!too_long_) payload_ += byte;
}

PacketReader::Event PacketReader::finish(char second_digit) {
    state_ = State::between;
    const int high = digit_value(first_digit_);
    const int low = digit_value(second_digit);
    const bool good = high >= 0 && low >= 0 && (high << 4 | low) == sum_ && !too_long_;
    return good ? Event{Kind::packet, payload_} : Event{Kind::damaged};
}

}  // namespace banyan::gdb
