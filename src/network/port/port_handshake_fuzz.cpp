// What the other side says first: what is taken is what it would be said again as.
#include <cstdlib>
#include <cstring>

#include "network/port/frame_ring.hpp"
#include "network/port/port_handshake.hpp"

namespace banyan {
namespace {

// The magic and version are given, so that what is behind them is reached.
template <size_t N>
std::array<std::byte, N> with_head(std::span<const std::byte> bytes) {
    std::array<std::byte, N> message{};
    std::memcpy(message.data(), bytes.data(), std::min(bytes.size(), N));
    std::memcpy(message.data(), &kPortMagic, sizeof(kPortMagic));
    std::memcpy(message.data() + 4, &kPortVersion, sizeof(kPortVersion));
    return message;
}

void check_hello(std::span<const std::byte> bytes) {
    const auto hello = decode_hello(bytes);
    if (!hello || hello->request != PortRequest::join) return;
    if (!is_port_name(hello->name) || hello->mac.is_multicast()) std::abort();
    const auto again = decode_hello(encode(*hello));
    if (!again || again->name != hello->name || again->vlan != hello->vlan) std::abort();
}

void check_welcome(std::span<const std::byte> bytes) {
    const auto welcome = decode_welcome(bytes);
    if (welcome && welcome->refusal.empty() && welcome->ring_size < kLeastRing) std::abort();
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    const auto bytes = std::as_bytes(std::span(data, size));
    check_hello(bytes);
    check_welcome(bytes);
    check_hello(with_head<kHelloSize>(bytes));
    check_welcome(with_head<kWelcomeSize>(bytes));
    return 0;
}
