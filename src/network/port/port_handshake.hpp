// What a member and a switch say to each other first, over a Unix socket of packets
// (SOCK_SEQPACKET): one message each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "network/packets/addresses.hpp"
#include "network/switching/switch_port_config.hpp"
#include "support/result.hpp"

namespace banyan {

inline constexpr uint32_t kPortMagic = 0x42794E70;  // "pNyB"
inline constexpr uint32_t kPortVersion = 1;

enum class PortRequest : uint32_t {
    join,    // a member with rings
    report,  // the state of the network, as JSON
    end,     // of the switch
    // Of what passes to and from the member of that name, or of all: the switch connects to the
    // Unix socket capture_socket() of who asks. It says why not, or nothing.
    capture,
};

// A host name (RFC 1123, 2.1), so that the network's DNS can tell it: letters, digits and hyphens.
inline constexpr size_t kMostPortName = 63;
bool is_port_name(std::string_view name);

struct PortHello {
    PortRequest request = PortRequest::join;
    std::string name = {};  // of the member
    MacAddress mac = {};
    VlanId vlan = 0;  // 0: as the network has it
    bool isolated = false;
    uint64_t bytes_per_second = 0;
};

struct PortWelcome {
    // Of each ring's data; the memory that comes with it is that of port_memory_size().
    uint32_t ring_size = 0;
    std::string refusal = {};  // empty: joined
};

// As they travel.
inline constexpr size_t kHelloSize = 128;
inline constexpr size_t kWelcomeSize = 512;
using HelloBytes = std::array<std::byte, kHelloSize>;
using WelcomeBytes = std::array<std::byte, kWelcomeSize>;

HelloBytes encode(const PortHello& hello);
WelcomeBytes encode(const PortWelcome& welcome);
// Fail where the other side is of another version, or says what makes no sense.
Result<PortHello> decode_hello(std::span<const std::byte> bytes);
Result<PortWelcome> decode_welcome(std::span<const std::byte> bytes);

}  // namespace banyan
