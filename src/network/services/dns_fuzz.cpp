// DNS queries of all kinds: an answer has the query's number and is not much longer than it.
#include <cstdlib>

#include "network/services/dns_responder.hpp"

namespace banyan {
namespace {

class OneMember final : public DnsZone {
public:
    std::string_view domain() const override { return "lab"; }
    Ipv4Subnet subnet() const override { return {{0x0A010100}, 24}; }
    std::optional<Ipv4Address> address_of(std::string_view name) const override {
        return name.size() < 4 ? std::optional(Ipv4Address{0x0A01010A}) : std::nullopt;
    }
    std::string name_of(Ipv4Address) const override { return "web"; }
    bool has_other_server() const override { return true; }
};

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    const auto query = std::as_bytes(std::span(data, size));
    const auto answer = answer_dns(query, OneMember());
    if (answer.empty()) return 0;
    if (answer[0] != query[0] || answer[1] != query[1] || answer.size() > size + 32) std::abort();
    return 0;
}
