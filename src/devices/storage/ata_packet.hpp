// AtaPacket: a packet device: an ATA front of a CD-ROM drive, whose commands come by PACKET
// (ATA/ATAPI-6, 8.23).
#pragma once

#include <cstdint>
#include <span>

#include "devices/scsi/scsi_cdrom.hpp"
#include "devices/storage/ata_device.hpp"

namespace banyan {

class AtaPacket final : public AtaDevice {
public:
    AtaPacket(const AtaDeviceConfig& config, BlockBackend& backend);

    bool is_packet_device() const override { return true; }
    AtaPlan start(const AtaCommand& command, BlockWork& work) override;
    AtaPlan take_parameters(const AtaCommand& command, std::span<const std::byte> bytes,
                            BlockWork& work) override;
    DataPlan start_packet(std::span<const uint8_t> packet, BlockWork& work) override;
    DataPlan take_packet_parameters(std::span<const std::byte> bytes, BlockWork& work) override;
    AtaOutput fail_plan(const AtaCommand& command, PlanRunner::Result result, bool write,
                        uint64_t done) override;
    uint8_t packet_error() const override;

    AtaDeviceStateV1 state() const override;
    bool restore(const AtaDeviceStateV1& state) override;

private:
    void on_reset() override { unit_.reset(); }
    AtaPlan identify(const AtaCommand& command);
    AtaPlan abort_with_signature(const AtaCommand& command) const;
    AtaPlan set_features(const AtaCommand& command);

    // sub-devices
    ScsiCdrom unit_;
    // bookkeeping: of the command that is carried out
    scsi::Cdb cdb_{};
};

}  // namespace banyan
