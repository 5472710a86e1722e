#include "network/packets/addresses.hpp"

#include <charconv>
#include <fmt/format.h>

namespace banyan {

namespace {

constexpr int kDecimal = 10;
constexpr int kHexadecimal = 16;

// The number at the start of `text`, which loses it.
std::optional<uint32_t> take_number(std::string_view& text, int base, uint32_t most) {
    constexpr size_t kMostDigits = 3;
    uint32_t value = 0;
    const size_t digits = std::min(text.size(), kMostDigits);
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value, base);
    if (error != std::errc{} || value > most) return {};
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return value;
}

bool take_character(std::string_view& text, char wanted) {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::string to_text(const MacAddress& address) {
    return fmt::format("{:02x}", fmt::join(address.bytes, ":"));
}

std::string to_text(Ipv4Address address) {
    return fmt::format("{}.{}.{}.{}", address.value >> 24, address.value >> 16 & 0xFF,
                       address.value >> 8 & 0xFF, address.value & 0xFF);
}

std::string to_text(const Ipv4Subnet& subnet) {
    return fmt::format("{}/{}", to_text(subnet.network), subnet.prefix);
}

std::optional<MacAddress> parse_mac(std::string_view text) {
    constexpr size_t kLength = 17;
    if (text.size() != kLength) return {};
    MacAddress address;
    for (size_t i = 0; i < address.bytes.size(); ++i) {
        if (i != 0 && !take_character(text, ':')) return {};
        const size_t before = text.size();
        const auto byte = take_number(text, kHexadecimal, 0xFF);
        if (!byte || before - text.size() != 2) return {};
        address.bytes[i] = static_cast<uint8_t>(*byte);
    }
    return address;
}

std::optional<Ipv4Address> parse_ipv4(std::string_view text) {
    Ipv4Address address;
    for (unsigned i = 0; i < 4; ++i) {
        if (i != 0 && !take_character(text, '.')) return {};
        const auto byte = take_number(text, kDecimal, 0xFF);
        if (!byte) return {};
        address.value = address.value << 8 | *byte;
    }
    if (!text.empty()) return {};
    return address;
}

std::optional<Ipv4Subnet> parse_subnet(std::string_view text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return {};
    const auto network = parse_ipv4(text.substr(0, slash));
    std::string_view rest = text.substr(slash + 1);
    const auto prefix = take_number(rest, kDecimal, 32);
    if (!network || !prefix || !rest.empty()) return {};
    const Ipv4Subnet subnet{*network, *prefix};
    if (!subnet.contains(*network)) return {};
    return subnet;
}

}  // namespace banyan
