#include "network/port/port_handshake.hpp"

#include <algorithm>
#include <cstring>

#include "network/packets/headers.hpp"
#include "network/port/frame_ring.hpp"
#include "network/switching/token_bucket.hpp"
#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan {

namespace {

constexpr uint32_t kLargestRing = uint32_t{64} << 20;

struct HelloMessage {
    le32 magic;
    le32 version;
    le32 request;
    MacAddress mac;
    le16 vlan;
    le32 isolated;
    le64 bytes_per_second;
    std::array<char, kMostPortName + 1> name;
    std::array<std::byte, 32> reserved;
};
static_assert(sizeof(HelloMessage) == kHelloSize);

struct WelcomeMessage {
    le32 magic;
    le32 version;
    le32 ring_size;
    std::array<char, 500> refusal;
};
static_assert(sizeof(WelcomeMessage) == kWelcomeSize);

template <size_t N>
void put_text(std::array<char, N>& to, std::string_view text) {
    to.fill('\0');
    std::copy_n(text.begin(), std::min(text.size(), N - 1), to.begin());
}

template <size_t N>
std::string text_in(const std::array<char, N>& from) {
    return std::string(from.begin(), std::find(from.begin(), from.end() - 1, '\0'));
}

// One line for a message, whatever the other side sent.
std::string printable(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

template <size_t N, class Message>
std::array<std::byte, N> message_bytes(const Message& message) {
    std::array<std::byte, N> bytes;
    std::memcpy(bytes.data(), &message, N);
    return bytes;
}

tl::unexpected<Error> refuse(std::string_view why) {
    return fail(ErrorCode::invalid_data, "join the network: " + std::string(why) +
                                             "; use programs of one version of Banyan");
}

template <class Message>
Result<Message> decode(std::span<const std::byte> bytes) {
    const auto message = header_at<Message>(bytes, 0);
    if (!message || bytes.size() != sizeof(Message) || message->magic != kPortMagic)
        return refuse("the other side does not speak its protocol");
    if (message->version != kPortVersion) return refuse("the other side has another version");
    return *message;
}

}  // namespace

bool is_port_name(std::string_view name) {
    const auto is_good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-';
    };
    return !name.empty() && name.size() <= kMostPortName && name.front() != '-' &&
           std::all_of(name.begin(), name.end(), is_good);
}

HelloBytes encode(const PortHello& hello) {
    HelloMessage message{};
    message.magic = kPortMagic;
    message.version = kPortVersion;
    message.request = static_cast<uint32_t>(hello.request);
    message.mac = hello.mac;
    message.vlan = hello.vlan;
    message.isolated = hello.isolated ? uint32_t{1} : uint32_t{0};
    message.bytes_per_second = hello.bytes_per_second;
    put_text(message.name, hello.name);
    return message_bytes<kHelloSize>(message);
}

WelcomeBytes encode(const PortWelcome& welcome) {
    WelcomeMessage message{};
    message.magic = kPortMagic;
    message.version = kPortVersion;
    message.ring_size = welcome.ring_size;
    put_text(message.refusal, welcome.refusal);
    return message_bytes<kWelcomeSize>(message);
}

Result<PortHello> decode_hello(std::span<const std::byte> bytes) {
    TRY_ASSIGN(message, decode<HelloMessage>(bytes));
    if (message.request > static_cast<uint32_t>(PortRequest::capture))
        return refuse("it asks for what is not known");
    PortHello hello{.request = static_cast<PortRequest>(uint32_t{message.request}),
                    .name = text_in(message.name),
                    .mac = message.mac,
                    .vlan = message.vlan,
                    .isolated = message.isolated != 0,
                    .bytes_per_second = message.bytes_per_second};
    if (hello.request == PortRequest::capture && !hello.name.empty() && !is_port_name(hello.name))
        return refuse("the member's name is none");
    if (hello.request != PortRequest::join) return hello;
    if (!is_port_name(hello.name)) return refuse("its name is none");
    if (hello.mac.is_multicast() || hello.mac.is_zero()) return refuse("its MAC is none");
    if (hello.vlan > kLastVlan) return refuse("its VLAN is none");
    if (hello.bytes_per_second > TokenBucket::kMostPerSecond) return refuse("its rate is none");
    return hello;
}

Result<PortWelcome> decode_welcome(std::span<const std::byte> bytes) {
    TRY_ASSIGN(message, decode<WelcomeMessage>(bytes));
    PortWelcome welcome{.ring_size = message.ring_size,
                        .refusal = printable(text_in(message.refusal))};
    if (!welcome.refusal.empty()) return welcome;
    if (!std::has_single_bit(welcome.ring_size) || welcome.ring_size < kLeastRing ||
        welcome.ring_size > kLargestRing)
        return refuse("its rings have a size that is none");
    return welcome;
}

}  // namespace banyan
