// Saved state of Dma8237Pair.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct DmaChannelStateV1 {
    uint16_t base_address = 0;
    uint16_t base_count = 0;
    uint16_t address = 0;
    uint16_t count = 0;
    uint8_t mode = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, DmaChannelStateV1& s) {
    auto& [base_address, base_count, address, count, mode] = s;
    v.field(1, base_address);
    v.field(2, base_count);
    v.field(3, address);
    v.field(4, count);
    v.field(5, mode);
}

struct Dma8237StateV1 {  // of one controller
    std::array<DmaChannelStateV1, 4> channels{};
    uint8_t command = 0;
    uint8_t mask = 0;
    uint8_t request = 0;
    uint8_t reached = 0;
    bool high_byte = false;
};

template <class Visitor>
void visit_fields(Visitor& v, Dma8237StateV1& s) {
    auto& [channels, command, mask, request, reached, high_byte] = s;
    v.field(1, channels);
    v.field(2, command);
    v.field(3, mask);
    v.field(4, request);
    v.field(5, reached);
    v.field(6, high_byte);
}

struct Dma8237PairStateV1 {
    static constexpr std::string_view kKind = "dma8237";
    static constexpr uint32_t kVersion = 1;

    std::array<Dma8237StateV1, 2> chips{};
    std::array<uint8_t, 16> pages{};
};

template <class Visitor>
void visit_fields(Visitor& v, Dma8237PairStateV1& s) {
    auto& [chips, pages] = s;
    v.field(1, chips);
    v.field(2, pages);
}

}  // namespace banyan
