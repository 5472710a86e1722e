// DHCP messages of all kinds: what is read as a request can be answered.
#include <cstdlib>

#include "network/services/dhcp_server.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    const auto request = parse_dhcp(std::as_bytes(std::span(data, size)));
    if (!request) return 0;
    if (!request->host_name.empty() && as_host_name(request->host_name) != request->host_name)
        std::abort();
    DhcpServer server({.server = {0x0A010101},
                       .subnet = {{0x0A010100}, 24},
                       .first = {0x0A01010A},
                       .last = {0x0A010114},
                       .router = {},
                       .dns = {},
                       .domain = "lab"});
    const auto reply = server.answer(*request, "web", 1000);
    if (!reply) return 0;
    if (build_dhcp(*request, *reply).size() > 1400) std::abort();
    if (reply->address.value != 0 && !server.leases().is_in_pool(reply->address)) std::abort();
    return 0;
}
