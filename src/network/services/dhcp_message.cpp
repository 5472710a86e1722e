#include "network/services/dhcp_message.hpp"

#include <algorithm>
#include <array>

#include "network/packets/headers.hpp"
#include "support/object_bytes.hpp"

namespace banyan {

namespace {

struct DhcpHeader {  // RFC 2131, figure 1, and the cookie of 3
    uint8_t operation = 0;
    uint8_t hardware = 1;
    uint8_t hardware_size = 6;
    uint8_t hops = 0;
    be32 transaction;
    be16 seconds;
    be16 flags;
    be32 client;
    be32 yours;
    be32 next_server;
    be32 relay;
    MacAddress mac;
    std::array<std::byte, 10> mac_padding;
    std::array<std::byte, 64> server_name;
    std::array<std::byte, 128> file;
    be32 cookie;
};
static_assert(sizeof(DhcpHeader) == 240);

constexpr uint8_t kFromClient = 1;
constexpr uint8_t kFromServer = 2;
constexpr uint32_t kCookie = 0x63825363;
constexpr uint16_t kBroadcastFlag = 0x8000;
constexpr size_t kLeastMessage = 300;  // RFC 1542, 2.1: some clients drop shorter ones

enum Option : uint8_t {  // RFC 2132
    pad = 0,
    subnet_mask = 1,
    router = 3,
    domain_name_server = 6,
    host_name = 12,
    domain_name = 15,
    requested_address = 50,
    lease_time = 51,
    message_type = 53,
    server_identifier = 54,
    end = 255,
};

using Value = std::span<const std::byte>;

std::optional<Ipv4Address> address_in(Value value) {
    const auto address = header_at<be32>(value, 0);
    if (!address || value.size() != sizeof(be32)) return {};
    return Ipv4Address{*address};
}

// False: an option that this server needs is malformed.
bool take_option(DhcpRequest& request, uint8_t code, Value value, bool& has_type) {
    switch (code) {
        case message_type:
            if (value.size() != 1) return false;
            request.type = static_cast<DhcpType>(value[0]);
            has_type = true;
            return true;
        case requested_address:
            request.requested = address_in(value);
            return request.requested.has_value();
        case server_identifier:
            request.server = address_in(value);
            return request.server.has_value();
        case host_name:
            request.host_name = as_host_name(
                // SAFETY: bytes as characters
                {reinterpret_cast<const char*>(value.data()), value.size()});
            return true;
        default: return true;
    }
}

bool take_options(DhcpRequest& request, Value options) {
    bool has_type = false;
    size_t at = 0;
    while (at < options.size()) {
        const auto code = std::to_integer<uint8_t>(options[at++]);
        if (code == end) break;
        if (code == pad) continue;
        if (at == options.size()) return false;
        const auto length = std::to_integer<size_t>(options[at++]);
        if (length > options.size() - at) return false;
        if (!take_option(request, code, options.subspan(at, length), has_type)) return false;
        at += length;
    }
    return has_type && request.type >= DhcpType::discover && request.type <= DhcpType::inform;
}

class OptionWriter {
public:
    explicit OptionWriter(std::vector<std::byte>& to) : to_(to) {}

    void add(Option code, Value value) {
        to_.push_back(std::byte{code});
        to_.push_back(static_cast<std::byte>(value.size()));
        to_.insert(to_.end(), value.begin(), value.end());
    }
    void add(Option code, uint32_t value) {
        const be32 wire = value;
        add(code, std::as_bytes(std::span(&wire, 1)));
    }
    void add(Option code, std::string_view text) {
        if (!text.empty()) add(code, std::as_bytes(std::span(text)));
    }

private:
    std::vector<std::byte>& to_;
};

void add_options(std::vector<std::byte>& message, const DhcpReply& reply) {
    OptionWriter options(message);
    const auto type = static_cast<std::byte>(reply.type);
    options.add(message_type, Value(&type, 1));
    options.add(server_identifier, reply.server.value);
    if (reply.type == DhcpType::nak) return;
    if (reply.lease_seconds != 0) options.add(lease_time, reply.lease_seconds);
    options.add(subnet_mask, reply.subnet.mask());
    if (reply.router) options.add(router, reply.router->value);
    std::vector<be32> servers;
    for (const Ipv4Address server : reply.dns)
        servers.emplace_back(server.value);
    if (!servers.empty()) options.add(domain_name_server, std::as_bytes(std::span(servers)));
    options.add(domain_name, std::string_view(reply.domain));
    options.add(host_name, std::string_view(reply.host_name));
}

}  // namespace

std::string as_host_name(std::string_view text) {
    constexpr size_t kMostOfLabel = 63;  // RFC 1035, 2.3.4
    // Some clients end it with a zero.
    while (!text.empty() && text.back() == '\0')
        text.remove_suffix(1);
    if (text.empty() || text.size() > kMostOfLabel || text.front() == '-') return {};
    std::string name(text);
    for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!good) return {};
    }
    return name;
}

std::optional<DhcpRequest> parse_dhcp(std::span<const std::byte> message) {
    const auto header = header_at<DhcpHeader>(message, 0);
    if (!header || header->operation != kFromClient || header->hardware != 1 ||
        header->hardware_size != sizeof(MacAddress) || header->relay != 0 ||
        header->cookie != kCookie)
        return {};
    DhcpRequest request;
    request.transaction = header->transaction;
    request.seconds = header->seconds;
    request.broadcast = (header->flags & kBroadcastFlag) != 0;
    request.mac = header->mac;
    request.client = {header->client};
    if (!take_options(request, message.subspan(sizeof(DhcpHeader)))) return {};
    return request;
}

std::vector<std::byte> build_dhcp(const DhcpRequest& request, const DhcpReply& reply) {
    DhcpHeader header{};
    header.operation = kFromServer;
    header.transaction = request.transaction;
    header.flags = request.broadcast ? kBroadcastFlag : uint16_t{0};
    header.client = reply.type == DhcpType::nak ? uint32_t{0} : request.client.value;
    header.yours = reply.address.value;
    header.mac = request.mac;
    header.cookie = kCookie;
    std::vector<std::byte> message = bytes_of(header);
    add_options(message, reply);
    message.push_back(std::byte{end});
    message.resize(std::max(message.size(), kLeastMessage));
    return message;
}

}  // namespace banyan
