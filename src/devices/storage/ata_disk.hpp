// AtaDisk: an ATA disk with sectors of 512 bytes, addressed by CHS, LBA28 or LBA48 (ACS-3,
// ATA/ATAPI-6).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "devices/storage/ata_device.hpp"

namespace banyan {

class AtaDisk final : public AtaDevice {
public:
    AtaDisk(const AtaDeviceConfig& config, BlockBackend& backend);

    bool is_packet_device() const override { return false; }
    AtaPlan start(const AtaCommand& command, BlockWork& work) override;
    AtaPlan take_parameters(const AtaCommand& command, std::span<const std::byte> bytes,
                            BlockWork& work) override;
    DataPlan start_packet(std::span<const uint8_t>, BlockWork&) override;
    DataPlan take_packet_parameters(std::span<const std::byte>, BlockWork&) override;
    AtaOutput fail_plan(const AtaCommand& command, PlanRunner::Result result, bool write,
                        uint64_t done) override;

private:
    enum class Width : uint8_t { lba28, lba48 };
    struct Extent {
        uint64_t sector = 0;
        uint64_t count = 0;
    };
    struct Transfer {
        PlanKind kind = PlanKind::media_in;
        AtaProtocol protocol = AtaProtocol::pio;
        Width width = Width::lba28;
        bool multiple = false;
        bool through = false;  // FUA
    };

    static std::optional<Transfer> transfer_of(ata::Op op);
    static bool is_queued(ata::Op op);
    // Nothing for addresses that do not exist.
    std::optional<Extent> extent(const AtaCommand& command, Width width) const;
    std::optional<uint64_t> first_sector(const AtaCommand& command, Width width) const;

    AtaPlan transfer(const AtaCommand& command, const Transfer& how);
    AtaPlan queued(const AtaCommand& command);
    AtaPlan fail_queued(const AtaCommand& command, uint8_t error);
    void log_failure(const AtaCommand& command, const AtaOutput& output);
    AtaPlan verify(const AtaCommand& command, Width width);
    AtaPlan flush(const AtaCommand& command, BlockWork& work);
    AtaPlan set_features(const AtaCommand& command, BlockWork& work);
    AtaPlan set_multiple(const AtaCommand& command);
    AtaPlan initialize_parameters(const AtaCommand& command);
    AtaPlan data_set_management(const AtaCommand& command);
    AtaPlan read_log(const AtaCommand& command);
    AtaPlan check_power_mode(const AtaCommand& command) const;
    AtaPlan diagnose(const AtaCommand& command) const;
    AtaPlan other(const AtaCommand& command, BlockWork& work);
    AtaPlan identify(const AtaCommand& command);
    void identify_geometry(std::span<le16> to) const;
    void identify_features(std::span<le16> to) const;
    void fill_log_directory(std::span<le16> to) const;
    void fill_queued_error(std::span<le16> to);
    uint16_t cylinders(uint32_t heads, uint32_t sectors_per_track) const;
    bool trims() const;

    // configuration
    uint64_t sectors_;
    bool read_only_;
};

}  // namespace banyan
