// Saved state of E1000e. No frame is under way when it is saved: a frame that is half sent is read
// from its ring again.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

struct E1000eStateV1 {
    static constexpr std::string_view kKind = "e1000e";
    static constexpr uint32_t kVersion = 1;

    std::vector<uint32_t> registers;
    uint32_t causes = 0;
    uint32_t mask = 0;
    std::array<uint16_t, 32> phy{};
    std::array<uint16_t, 64> nvm{};
    std::array<uint32_t, 4> context{};  // the last transmit context descriptor
    uint32_t segments_sent = 0;         // of the frame that is next
    uint32_t port_address = 0;          // IOADDR
};

template <class Visitor>
void visit_fields(Visitor& v, E1000eStateV1& s) {
    auto& [registers, causes, mask, phy, nvm, context, segments_sent, port_address] = s;
    v.field(1, registers);
    v.field(2, causes);
    v.field(3, mask);
    v.field(4, phy);
    v.field(5, nvm);
    v.field(6, context);
    v.field(7, segments_sent);
    v.field(8, port_address);
}

}  // namespace banyan
