// Saved state of I8042.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

// Movements are signed numbers in two's complement.
struct Ps2MouseState {
    uint8_t command = 0;
    bool remote = false;
    bool wrap = false;
    bool reporting = false;
    bool scaling = false;
    uint8_t resolution = 2;
    uint8_t rate = 100;
    uint8_t kind = 0;
    std::array<uint8_t, 3> last_rates{};
    uint8_t last_sent = 0;
    uint8_t buttons = 0;
    uint8_t reported_buttons = 0;
    uint32_t dx = 0;
    uint32_t dy = 0;
    uint32_t wheel = 0;
    uint64_t next_packet_ns = 0;
    std::array<uint8_t, 16> queue{};  // the oldest first
    uint8_t queue_length = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, Ps2MouseState& s) {
    auto& [command, remote, wrap, reporting, scaling, resolution, rate, kind, last_rates, last_sent,
           buttons, reported_buttons, dx, dy, wheel, next_packet_ns, queue, queue_length] = s;
    v.field(1, command);
    v.field(2, remote);
    v.field(3, wrap);
    v.field(4, reporting);
    v.field(5, scaling);
    v.field(6, resolution);
    v.field(7, rate);
    v.field(8, kind);
    v.field(9, last_rates);
    v.field(10, last_sent);
    v.field(11, buttons);
    v.field(12, reported_buttons);
    v.field(13, dx);
    v.field(14, dy);
    v.field(15, wheel);
    v.field(16, next_packet_ns);
    v.field(17, queue);
    v.field(18, queue_length);
}

struct I8042StateV1 {
    static constexpr std::string_view kKind = "i8042";
    static constexpr uint32_t kVersion = 1;

    std::array<uint8_t, 32> ram{};
    uint8_t command = 0;
    bool command_last = false;
    uint8_t output = 0;
    bool output_full = false;
    bool output_from_mouse = false;
    bool a20 = false;
    uint8_t port92 = 0;
    uint8_t keyboard_command = 0;
    uint8_t keyboard_scan_code_set = 0;
    uint8_t keyboard_last_sent = 0;
    std::array<uint8_t, 16> keyboard_queue{};  // the oldest first
    uint8_t keyboard_queue_length = 0;
    bool break_pending = false;
    std::array<uint8_t, 16> keyboard_replies{};  // the oldest first
    uint8_t keyboard_replies_length = 0;
    bool keyboard_scanning = true;
    uint8_t keyboard_indicators = 0;
    uint8_t keyboard_typematic = 0x2B;
    uint8_t keyboard_repeated = 0;
    uint64_t keyboard_repeat_at_ns = 0;
    std::array<uint8_t, 32> keyboard_pressed{};
    Ps2MouseState mouse;
};

template <class Visitor>
void visit_fields(Visitor& v, I8042StateV1& s) {
    auto& [ram, command, command_last, output, output_full, output_from_mouse, a20, port92,
           keyboard_command, keyboard_scan_code_set, keyboard_last_sent, keyboard_queue,
           keyboard_queue_length, break_pending, keyboard_replies, keyboard_replies_length,
           keyboard_scanning, keyboard_indicators, keyboard_typematic, keyboard_repeated,
           keyboard_repeat_at_ns, keyboard_pressed, mouse] = s;
    v.field(1, ram);
    v.field(2, command);
    v.field(3, command_last);
    v.field(4, output);
    v.field(5, output_full);
    v.field(6, output_from_mouse);
    v.field(8, a20);
    v.field(9, port92);
    v.field(10, keyboard_command);
    v.field(11, keyboard_scan_code_set);
    v.field(12, keyboard_last_sent);
    v.field(13, keyboard_queue);
    v.field(14, keyboard_queue_length);
    v.field(15, break_pending);
    v.field(16, keyboard_replies);
    v.field(17, keyboard_replies_length);
    v.field(18, keyboard_scanning);
    v.field(19, keyboard_indicators);
    v.field(20, keyboard_typematic);
    v.field(21, keyboard_repeated);
    v.field(22, keyboard_repeat_at_ns);
    v.field(23, keyboard_pressed);
    v.field(24, mouse);
}

}  // namespace banyan
