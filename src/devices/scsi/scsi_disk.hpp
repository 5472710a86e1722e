// ScsiDisk: a direct-access block device with sectors of 512 bytes (SBC-3).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "devices/scsi/scsi_unit.hpp"

namespace banyan {

class ScsiDisk final : public ScsiUnit {
public:
    static constexpr uint32_t kSector = 512;

    ScsiDisk(const ScsiUnitConfig& config, BlockBackend& backend);

private:
    // First sector and number of sectors that a command is about.
    struct Extent {
        uint64_t lba = 0;
        uint64_t count = 0;
    };

    DataPlan execute(const scsi::Cdb& cdb, BlockWork& work) override;
    DataPlan execute_with(const scsi::Cdb& cdb, std::span<const std::byte> bytes,
                          BlockWork& work) override;
    std::string_view product() const override { return "Disk"; }
    bool removable() const override { return false; }
    size_t vital_page(uint8_t page, std::span<uint8_t> body) const override;
    std::span<const uint8_t> vital_pages() const override;
    size_t mode_page(uint8_t page, bool changeable, std::span<uint8_t> to) const override;
    std::span<const uint8_t> mode_pages() const override;
    uint8_t mode_device_parameter() const override;
    size_t mode_block_descriptor(std::span<uint8_t, 8> to) const override;

    size_t block_limits(std::span<uint8_t> body) const;
    size_t provisioning(std::span<uint8_t> body) const;

    static Extent extent(const scsi::Cdb& cdb);
    bool inside(const Extent& extent) const;
    bool thin() const;
    DataPlan transfer(const scsi::Cdb& cdb, PlanKind kind);
    DataPlan verify(const scsi::Cdb& cdb);
    DataPlan synchronize(const scsi::Cdb& cdb, BlockWork& work);
    DataPlan read_capacity10(const scsi::Cdb& cdb);
    DataPlan read_capacity16(const scsi::Cdb& cdb);
    DataPlan start_stop(const scsi::Cdb& cdb, BlockWork& work);
    DataPlan expect_parameters(uint64_t length);
    DataPlan write_same(const scsi::Cdb& cdb);
    DataPlan write_same_with(const scsi::Cdb& cdb, std::span<const std::byte> block,
                             BlockWork& work);
    DataPlan unmap(const scsi::Cdb& cdb);
    DataPlan unmap_with(std::span<const std::byte> list, BlockWork& work);
    DataPlan mode_select_with(const scsi::Cdb& cdb, std::span<const std::byte> list);

    // configuration
    uint64_t sectors_;
    bool read_only_;
};

}  // namespace banyan
