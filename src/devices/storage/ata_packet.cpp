#include "devices/storage/ata_packet.hpp"

#include <algorithm>

namespace banyan {

using namespace ata;

AtaPacket::AtaPacket(const AtaDeviceConfig& config, BlockBackend& device_backend)
    : AtaDevice(config, device_backend), unit_({.serial = config.serial}, device_backend) {}

AtaPlan AtaPacket::start(const AtaCommand& command, BlockWork&) {
    AtaPlan plan = complete(command);
    switch (command.op) {
        case Op::packet: plan.protocol = AtaProtocol::packet; return plan;
        case Op::identify_packet_device: return identify(command);
        // ATA/ATAPI-6, 8.15.5 and 8.34.5: by these a host finds out what it has before it.
        case Op::identify_device:
        case Op::read_sectors: return abort_with_signature(command);
        case Op::device_reset:
        case Op::execute_device_diagnostic: plan.output = signature(); return plan;
        case Op::set_features: return set_features(command);
        case Op::check_power_mode: plan.output.count = 0xff; return plan;
        case Op::standby_immediate:
        case Op::standby:
        case Op::idle_immediate:
        case Op::idle:
        case Op::sleep:
        case Op::flush_cache: return plan;
        default: return fail(command, kErrorAbort);
    }
}

AtaPlan AtaPacket::take_parameters(const AtaCommand& command, std::span<const std::byte>,
                                   BlockWork&) {
    return fail(command, kErrorAbort);
}

AtaPlan AtaPacket::abort_with_signature(const AtaCommand& command) const {
    AtaPlan plan = fail(command, kErrorAbort);
    plan.output.lba = signature().lba;
    plan.output.count = signature().count;
    return plan;
}

AtaPlan AtaPacket::set_features(const AtaCommand& command) {
    const Feature feature{static_cast<uint8_t>(command.features)};
    if (feature == Feature::set_transfer_mode &&
        set_transfer_mode(static_cast<uint8_t>(command.count))) {
        return complete(command);
    }
    return fail(command, kErrorAbort);
}

DataPlan AtaPacket::start_packet(std::span<const uint8_t> packet, BlockWork& work) {
    cdb_ = {};
    std::copy_n(packet.begin(), std::min(packet.size(), cdb_.size()), cdb_.begin());
    return unit_.start(cdb_, work);
}

DataPlan AtaPacket::take_packet_parameters(std::span<const std::byte> bytes, BlockWork& work) {
    return unit_.take_parameters(cdb_, bytes, work);
}

AtaOutput AtaPacket::fail_plan(const AtaCommand& command, PlanRunner::Result result, bool write,
                               uint64_t) {
    unit_.fail_plan(result, write);
    AtaOutput output = echo(command);
    output.error = packet_error();
    return output;
}

// ATA/ATAPI-6, 8.23.6: the sense key is in bits 7:4.
uint8_t AtaPacket::packet_error() const {
    return static_cast<uint8_t>(static_cast<unsigned>(unit_.sense().key) << 4 | kErrorAbort);
}

AtaDeviceStateV1 AtaPacket::state() const {
    AtaDeviceStateV1 state = AtaDevice::state();
    state.unit = unit_.state();
    return state;
}

bool AtaPacket::restore(const AtaDeviceStateV1& state) {
    return AtaDevice::restore(state) && unit_.restore(state.unit);
}

// ATA/ATAPI-6, 8.16.8 "IDENTIFY PACKET DEVICE data", by number of word.
AtaPlan AtaPacket::identify(const AtaCommand& command) {
    constexpr uint16_t kCommandSets = 0x0218;  // DEVICE RESET, PACKET, power management
    const auto to = words();
    to[0] = uint16_t{0x85c0};  // a removable CD-ROM drive; packets of 12 bytes, asked for at once
    identify_names("Banyan CD-ROM");
    to[49] = uint16_t{0x0b00};  // IORDY, LBA, DMA
    to[50] = uint16_t{0x4000};
    identify_modes();
    to[80] = uint16_t{0x01f0};
    to[82] = kCommandSets;
    to[83] = uint16_t{0x4000};
    to[84] = uint16_t{0x4000};
    to[85] = kCommandSets;
    to[87] = uint16_t{0x4000};
    seal_identify();
    return respond_words(command);
}

}  // namespace banyan
