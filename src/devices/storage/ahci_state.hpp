// The saved state of an AHCI controller and its ports. Nothing is in flight: commands that had not
// begun are still in PxCI.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "devices/storage/ata_device_state.hpp"

namespace banyan {

struct AhciPortStateV1 {
    uint64_t command_list = 0;
    uint64_t received_fis = 0;
    uint32_t interrupt_status = 0;
    uint32_t interrupt_enable = 0;
    uint32_t command = 0;
    uint32_t task_file = 0;
    uint32_t signature = 0;
    uint32_t link_status = 0;
    uint32_t link_control = 0;
    uint32_t link_error = 0;
    uint32_t active = 0;
    uint32_t issue = 0;
    bool signature_waits = false;  // for FIS reception
    bool halted = false;           // an error: until PxCMD.ST goes
    bool soft_reset_asserted = false;
    AtaDeviceStateV1 device;
};

template <class Visitor>
void visit_fields(Visitor& v, AhciPortStateV1& s) {
    auto& [command_list, received_fis, interrupt_status, interrupt_enable, command, task_file,
           signature, link_status, link_control, link_error, active, issue, signature_waits, halted,
           soft_reset_asserted, device] = s;
    v.field(1, command_list);
    v.field(2, received_fis);
    v.field(3, interrupt_status);
    v.field(4, interrupt_enable);
    v.field(5, command);
    v.field(6, task_file);
    v.field(7, signature);
    v.field(8, link_status);
    v.field(9, link_control);
    v.field(10, link_error);
    v.field(11, active);
    v.field(12, issue);
    v.field(13, signature_waits);
    v.field(14, halted);
    v.field(15, soft_reset_asserted);
    v.field(16, device);
}

struct AhciStateV1 {
    static constexpr std::string_view kKind = "ahci";
    static constexpr uint32_t kVersion = 1;
    uint32_t control = 0;
    uint32_t interrupt_status = 0;
    std::vector<AhciPortStateV1> ports;
};

template <class Visitor>
void visit_fields(Visitor& v, AhciStateV1& s) {
    auto& [control, interrupt_status, ports] = s;
    v.field(1, control);
    v.field(2, interrupt_status);
    v.field(3, ports);
}

}  // namespace banyan
