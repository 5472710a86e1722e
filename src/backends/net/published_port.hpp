// A port of the host that leads to one of the guest.
#pragma once

#include <cstdint>

namespace banyan {

struct PublishedPort {
    uint32_t host_address = 0;  // IPv4, as a number; 0: all of the host's
    uint16_t host_port = 0;
    uint16_t guest_port = 0;
    bool udp = false;

    bool operator==(const PublishedPort&) const = default;
};

}  // namespace banyan
