// ScsiCdrom: a CD-ROM or DVD-ROM drive with one data track of 2048-byte blocks (MMC-6): what an
// ISO file is the image of. By the size of the disc it is a CD or a DVD.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "devices/scsi/scsi_unit.hpp"

namespace banyan {

class ScsiCdrom final : public ScsiUnit {
public:
    static constexpr uint32_t kBlock = 2048;

    ScsiCdrom(const ScsiUnitConfig& config, BlockBackend& backend);

private:
    DataPlan execute(const scsi::Cdb& cdb, BlockWork& work) override;
    DataPlan execute_with(const scsi::Cdb& cdb, std::span<const std::byte> bytes,
                          BlockWork& work) override;
    bool ignores_attention(scsi::Op op) const override;
    std::string_view product() const override { return "CD-ROM"; }
    bool removable() const override { return true; }
    size_t vital_page(uint8_t, std::span<uint8_t>) const override { return 0; }
    std::span<const uint8_t> vital_pages() const override { return {}; }
    size_t mode_page(uint8_t page, bool changeable, std::span<uint8_t> to) const override;
    std::span<const uint8_t> mode_pages() const override;

    DataPlan execute_with_medium(const scsi::Cdb& cdb);
    DataPlan read(uint64_t lba, uint64_t count);
    DataPlan read_cd(const scsi::Cdb& cdb);
    DataPlan read_capacity();
    DataPlan read_toc(const scsi::Cdb& cdb);
    DataPlan toc_of_tracks(const scsi::Cdb& cdb);
    DataPlan toc_of_sessions(const scsi::Cdb& cdb);
    DataPlan raw_toc(const scsi::Cdb& cdb);
    DataPlan get_configuration(const scsi::Cdb& cdb);
    DataPlan get_event_status(const scsi::Cdb& cdb);
    DataPlan mechanism_status(const scsi::Cdb& cdb);
    DataPlan read_disc_information(const scsi::Cdb& cdb);
    DataPlan start_stop(const scsi::Cdb& cdb);
    void close_tray();

    uint16_t profile() const;
    size_t capabilities_page(std::span<uint8_t> to) const;

    // configuration
    uint32_t blocks_;
};

}  // namespace banyan
