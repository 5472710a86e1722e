#include "control/gdb/words.hpp"

#include <algorithm>

namespace banyan::gdb {

namespace {

constexpr char kDigits[] = "0123456789abcdef";
constexpr size_t kMostDigits = 16;

}  // namespace

int digit_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

bool Words::skip(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
}

std::optional<uint64_t> Words::number() {
    uint64_t value = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && digit_value(rest_[digits]) >= 0; ++digits) {
        if (digits == kMostDigits) return std::nullopt;
        value = value << 4 | static_cast<uint64_t>(digit_value(rest_[digits]));
    }
    if (digits == 0) return std::nullopt;
    rest_.remove_prefix(digits);
    return value;
}

std::string_view Words::until(char end) {
    const size_t length = std::min(rest_.find(end), rest_.size());
    const std::string_view word = rest_.substr(0, length);
    rest_.remove_prefix(std::min(length + 1, rest_.size()));
    return word;
}

std::string to_hex(std::span<const std::byte> bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte byte : bytes) {
        const auto value = static_cast<unsigned>(byte);
        text += kDigits[value >> 4];
        text += kDigits[value & 15];
    }
    return text;
}

std::string to_hex(std::string_view text) {
    return to_hex(std::as_bytes(std::span(text)));
}

std::optional<std::vector<std::byte>> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::vector<std::byte> bytes;
    bytes.reserve(text.size() / 2);
    for (size_t i = 0; i < text.size(); i += 2) {
        const int high = digit_value(text[i]);
        const int low = digit_value(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes.push_back(static_cast<std::byte>(high << 4 | low));
    }
    return bytes;
}

}  // namespace banyan::gdb
