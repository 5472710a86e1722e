// A member that sends the network's services whatever it likes: answers are frames, and state stays
// within its bounds.
#include <cstdlib>

#include "network/services/network_services.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    NetworkServices services({.network = "lab",
                              .mac = {{2, 0, 0, 0, 0, 1}},
                              .subnet = {{0x0A010100}, 28},
                              .other_dns = Ipv4Address{0x0A010103}});
    services.add_member({{2, 0, 0, 0, 0, 2}}, "web");
    const auto bytes = std::as_bytes(std::span(data, size));
    uint64_t now = 1000;
    for (size_t at = 0; at + 3 <= size;) {
        const size_t length =
            std::min<size_t>(size_t{data[at]} | (data[at + 1] & 7U) << 8, size - at - 3);
        now += data[at + 2];
        services.handle(
            bytes.subspan(at + 3, length), now,
            [](std::span<const std::byte> frame) {
                if (frame.size() < sizeof(EthernetHeader) || frame.size() > 2048) std::abort();
            },
            [&](const MacAddress&, Ipv4Address address) {
                if (!services.leases().is_in_pool(address)) std::abort();
            });
        at += 3 + length;
    }
    if (services.leases().all().size() > 5) std::abort();
    return 0;
}
