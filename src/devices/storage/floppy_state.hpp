// Saved state of FloppyController. No request is in flight when it is saved.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace banyan {

struct FloppyDriveStateV1 {
    uint8_t cylinder = 0;
    bool changed = false;
    uint8_t present_cylinder = 0;
    bool seeking = false;
    bool sense_waits = false;
    uint8_t sense = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, FloppyDriveStateV1& s) {
    auto& [cylinder, changed, present_cylinder, seeking, sense_waits, sense] = s;
    v.field(1, cylinder);
    v.field(2, changed);
    v.field(3, present_cylinder);
    v.field(4, seeking);
    v.field(5, sense_waits);
    v.field(6, sense);
}

struct FloppyControllerStateV1 {
    static constexpr std::string_view kKind = "floppy";
    static constexpr uint32_t kVersion = 1;

    std::array<FloppyDriveStateV1, 4> drives{};
    uint8_t output = 0;
    uint8_t tape = 0;
    uint8_t rate = 0;
    uint8_t phase = 0;
    bool interrupt = false;
    bool reset_pending = false;
    std::array<uint8_t, 9> command{};
    uint8_t command_length = 0;
    std::array<uint8_t, 10> result{};
    uint8_t result_length = 0;
    uint8_t result_at = 0;
    std::array<uint8_t, 2> specify{};
    std::array<uint8_t, 2> configure{};
    uint8_t perpendicular = 0;
    bool locked = false;
    uint8_t end_of_track = 0;
    uint8_t cylinder = 0;
    uint8_t head = 0;
    uint8_t sector = 0;
    uint8_t left = 0;
    uint16_t at = 0;
    uint16_t length = 0;
    bool terminal_count = false;
    std::array<uint8_t, 512> buffer{};
};

template <class Visitor>
void visit_fields(Visitor& v, FloppyControllerStateV1& s) {
    auto& [drives, output, tape, rate, phase, interrupt, reset_pending, command, command_length,
           result, result_length, result_at, specify, configure, perpendicular, locked,
           end_of_track, cylinder, head, sector, left, at, length, terminal_count, buffer] = s;
    v.field(1, drives);
    v.field(2, output);
    v.field(3, tape);
    v.field(4, rate);
    v.field(5, phase);
    v.field(6, interrupt);
    v.field(7, reset_pending);
    v.field(8, command);
    v.field(9, command_length);
    v.field(10, result);
    v.field(11, result_length);
    v.field(12, result_at);
    v.field(13, specify);
    v.field(14, configure);
    v.field(15, perpendicular);
    v.field(16, locked);
    v.field(17, end_of_track);
    v.field(18, cylinder);
    v.field(19, head);
    v.field(20, sector);
    v.field(21, left);
    v.field(22, at);
    v.field(23, length);
    v.field(24, terminal_count);
    v.field(25, buffer);
}

}  // namespace banyan
