// Saved state of I8042.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct I8042StateV1 {
    static constexpr std::string_view kKind = "i8042";
    static constexpr uint32_t kVersion = 1;

    std::array<uint8_t, 32> ram{};
    uint8_t command = 0;
    bool command_last = false;
    uint8_t output = 0;
    bool output_full = false;
    bool output_from_mouse = false;
    bool timed_out = false;
    bool a20 = false;
    uint8_t port92 = 0;
    uint8_t keyboard_command = 0;
    uint8_t keyboard_scan_code_set = 0;
    uint8_t keyboard_last_sent = 0;
    std::array<uint8_t, 16> keyboard_queue{};  // the oldest first
    uint8_t keyboard_queue_length = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, I8042StateV1& s) {
    auto& [ram, command, command_last, output, output_full, output_from_mouse, timed_out, a20,
           port92, keyboard_command, keyboard_scan_code_set, keyboard_last_sent, keyboard_queue,
           keyboard_queue_length] = s;
    v.field(1, ram);
    v.field(2, command);
    v.field(3, command_last);
    v.field(4, output);
    v.field(5, output_full);
    v.field(6, output_from_mouse);
    v.field(7, timed_out);
    v.field(8, a20);
    v.field(9, port92);
    v.field(10, keyboard_command);
    v.field(11, keyboard_scan_code_set);
    v.field(12, keyboard_last_sent);
    v.field(13, keyboard_queue);
    v.field(14, keyboard_queue_length);
}

}  // namespace banyan
