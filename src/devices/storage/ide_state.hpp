// The saved state of an IDE controller. Nothing is in flight, but a command may wait for its host:
// to move data by PIO, or to start the bus master.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "devices/storage/ata_device_state.hpp"

namespace banyan {

// What a command that is not over waits for.
enum class IdePhase : uint8_t {
    idle,
    packet,     // the host writes a command packet
    to_host,    // the host reads data
    from_host,  // the host writes data
    dma,        // the bus master
};

// The registers of one of the two devices; of those that are 16 bits wide, [0] is what was written
// last.
struct IdeDriveStateV1 {
    std::array<uint8_t, 2> features{};
    std::array<uint8_t, 2> count{};
    std::array<uint8_t, 2> lba_low{};
    std::array<uint8_t, 2> lba_mid{};
    std::array<uint8_t, 2> lba_high{};
    uint8_t status = 0;
    uint8_t error = 0;
    AtaDeviceStateV1 device;
};

template <class Visitor>
void visit_fields(Visitor& v, IdeDriveStateV1& s) {
    auto& [features, count, lba_low, lba_mid, lba_high, status, error, device] = s;
    v.field(1, features);
    v.field(2, count);
    v.field(3, lba_low);
    v.field(4, lba_mid);
    v.field(5, lba_high);
    v.field(6, status);
    v.field(7, error);
    v.field(8, device);
}

// The command that is not over.
struct IdeCommandStateV1 {
    IdePhase phase = IdePhase::idle;
    uint8_t op = 0;
    uint8_t device = 0;
    uint16_t features = 0;
    uint16_t count = 0;
    uint64_t lba = 0;
    bool is_packet = false;
    uint8_t plan = 0;  // DataPlan::Kind
    bool flush_after = false;
    uint64_t media_offset = 0;  // what is still to do on the medium, bytes
    uint64_t media_left = 0;
    uint64_t drq_length = 0;      // the most that moves at once by PIO
    std::vector<uint8_t> buffer;  // data of PIO, or the response that the bus master is to move
    uint32_t position = 0;        // in the buffer, of the host's next access
    uint32_t chunk_end = 0;       // in the buffer, where the data request ends
};

template <class Visitor>
void visit_fields(Visitor& v, IdeCommandStateV1& s) {
    auto& [phase, op, device, features, count, lba, is_packet, plan, flush_after, media_offset,
           media_left, drq_length, buffer, position, chunk_end] = s;
    v.field(1, phase);
    v.field(2, op);
    v.field(3, device);
    v.field(4, features);
    v.field(5, count);
    v.field(6, lba);
    v.field(7, is_packet);
    v.field(8, plan);
    v.field(9, flush_after);
    v.field(10, media_offset);
    v.field(11, media_left);
    v.field(12, drq_length);
    v.field(13, buffer);
    v.field(14, position);
    v.field(15, chunk_end);
}

struct IdeChannelStateV1 {
    std::array<IdeDriveStateV1, 2> drives{};
    uint8_t device = 0;
    uint8_t control = 0;
    bool interrupt = false;
    uint8_t bus_master_command = 0;
    uint8_t bus_master_status = 0;
    uint32_t bus_master_table = 0;
    IdeCommandStateV1 command;
};

template <class Visitor>
void visit_fields(Visitor& v, IdeChannelStateV1& s) {
    auto& [drives, device, control, interrupt, bus_master_command, bus_master_status,
           bus_master_table, command] = s;
    v.field(1, drives);
    v.field(2, device);
    v.field(3, control);
    v.field(4, interrupt);
    v.field(5, bus_master_command);
    v.field(6, bus_master_status);
    v.field(7, bus_master_table);
    v.field(8, command);
}

struct IdeStateV1 {
    static constexpr std::string_view kKind = "ide";
    static constexpr uint32_t kVersion = 1;
    std::array<IdeChannelStateV1, 2> channels{};
};

template <class Visitor>
void visit_fields(Visitor& v, IdeStateV1& s) {
    auto& [channels] = s;
    v.field(1, channels);
}

}  // namespace banyan
