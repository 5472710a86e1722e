// Whatever comes as IPv6: nobody advertises a router or another's link address.
#include <cstdlib>

#include "network/packets/headers.hpp"
#include "network/switching/ipv6_guard.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    constexpr size_t kPlain = sizeof(EthernetHeader) + sizeof(Ipv6Header);
    const auto head = std::as_bytes(std::span(data, size)).first(std::min<size_t>(size, 128));
    const SwitchPortConfig port{.mac = MacAddress{{2, 0, 0, 0, 0, 1}}};
    Ipv6Claims claims;
    const auto drop = check_ipv6(port, true, head, claims);
    const auto ip = header_at<Ipv6Header>(head, sizeof(EthernetHeader));
    if (!ip && !drop) std::abort();
    const bool router =
        ip && ip->next_header == 58 && head.size() > kPlain && head[kPlain] == std::byte{134};
    if (router && !drop) std::abort();
    return 0;
}
