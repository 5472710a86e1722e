// Words: reads the text of a packet from left to right; and hexadecimal text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::gdb {

class Words {
public:
    explicit Words(std::string_view text) : rest_(text) {}

    bool at_end() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }

    // Goes past `word`, if it is next.
    bool skip(std::string_view word);
    // A hexadecimal number of at most 64 bits, big-endian as people write it.
    std::optional<uint64_t> number();
    // What comes before `end`, and goes past it; all that is left, if there is none.
    std::string_view until(char end);

private:
    std::string_view rest_;
};

std::string to_hex(std::span<const std::byte> bytes);
std::string to_hex(std::string_view text);
// Nothing: it is not hexadecimal text.
std::optional<std::vector<std::byte>> from_hex(std::string_view text);
// -1: it is no digit.
int digit_value(char digit);

}  // namespace banyan::gdb
