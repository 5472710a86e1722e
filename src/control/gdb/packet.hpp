// Packets of GDB's Remote Serial Protocol: GDB manual, appendix E.1 "Overview".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace banyan::gdb {

// The most that lies between `$` and `#`, either way.
inline constexpr size_t kPacketSize = 0x4000;

// `$payload#checksum`.
std::string frame(std::string_view payload);

// Binary data in a payload: `$`, `#`, `}` and `*` are escaped. Unescaping takes whatever comes.
std::string escape(std::string_view data);
std::string unescape(std::string_view data);

// Finds packets in a stream of bytes. What is between packets is skipped; what is longer than a
// packet may be, or does not fit its checksum, is reported as damaged.
class PacketReader {
public:
    enum class Kind : uint8_t {
        packet,
        damaged,
        acknowledged,      // +
        not_acknowledged,  // -
        interrupt,         // Ctrl-C
    };
    struct Event {
        Kind kind;
        std::string_view payload = {};  // of a packet; valid until the next take()
    };

    std::optional<Event> take(char byte);

private:
    enum class State : uint8_t { between, payload, first_digit, second_digit };

    std::optional<Event> take_between(char byte);
    void take_payload(char byte);
    Event finish(char second_digit);
    void begin();

    State state_ = State::between;
    std::string payload_;
    bool too_long_ = false;
    uint8_t sum_ = 0;
    char first_digit_ = 0;
};

}  // namespace banyan::gdb
