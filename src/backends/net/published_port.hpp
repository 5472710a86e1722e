// A port of the host that leads to one of the guest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "support/result.hpp"

namespace banyan {

struct PublishedPort {
    uint32_t host_address = 0;  // IPv4, as a number; 0: all of the host's
    uint16_t host_port = 0;
    uint16_t guest_port = 0;
    bool udp = false;

    bool operator==(const PublishedPort&) const = default;
};

// "[ADDR:]HOSTPORT:GUESTPORT[/udp]"; without an address only the host itself reaches the guest.
// Fails with ErrorCode::invalid_argument; `option` begins the message.
Result<PublishedPort> parse_published_port(std::string_view option, std::string_view text);
// "127.0.0.1:2222:22/udp"
std::string to_text(const PublishedPort& port);

}  // namespace banyan
