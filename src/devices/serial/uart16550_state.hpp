// Saved state of Uart16550.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct Uart16550StateV1 {
    static constexpr std::string_view kKind = "uart16550";
    static constexpr uint32_t kVersion = 1;

    uint8_t ier = 0;
    uint8_t fcr = 0;
    uint8_t lcr = 0;
    uint8_t mcr = 0;
    uint8_t msr_deltas = 0;
    uint8_t scratch = 0;
    uint16_t divisor = 0;
    uint8_t line_errors = 0;
    bool thre_pending = false;
    std::array<uint16_t, 16>
        receiver{};  // the oldest first; character in the low byte, LSR errors in the high
    uint8_t receiver_count = 0;
    std::array<uint8_t, 16> transmitter{};  // the oldest first
    uint8_t transmitter_count = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, Uart16550StateV1& s) {
    auto& [ier, fcr, lcr, mcr, msr_deltas, scratch, divisor, line_errors, thre_pending, receiver,
           receiver_count, transmitter, transmitter_count] = s;
    v.field(1, ier);
    v.field(2, fcr);
    v.field(3, lcr);
    v.field(4, mcr);
    v.field(5, msr_deltas);
    v.field(6, scratch);
    v.field(7, divisor);
    v.field(8, line_errors);
    v.field(9, thre_pending);
    v.field(10, receiver);
    v.field(11, receiver_count);
    v.field(12, transmitter);
    v.field(13, transmitter_count);
}

}  // namespace banyan
