// AtaDevice: a disk or packet device at the end of an ATA cable, without the cable: turns a command
// (the task file at the moment when the command register is written) into a plan, which its
// controller carries out by PIO, by DMA or queued, and knows what the registers hold afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "devices/scsi/data_plan.hpp"
#include "devices/scsi/plan_runner.hpp"
#include "devices/storage/ata_device_state.hpp"
#include "devices/storage/ata_regs.hpp"
#include "support/le.hpp"
#include "vm/backend.hpp"

namespace banyan {

enum class AtaCable : uint8_t { parallel, serial };

struct AtaDeviceConfig {
    std::string_view serial = {};  // cut at 20 characters
    AtaCable cable = AtaCable::serial;
};

// What a command is given.
struct AtaCommand {
    ata::Op op = ata::Op::nop;
    uint8_t device = 0;
    uint16_t features = 0;
    uint16_t count = 0;
    uint64_t lba = 0;  // 48 bits, as they are in the registers: of 28-bit commands the low 24
};

// What the registers hold after a command; status apart.
struct AtaOutput {
    uint8_t error = 0;
    uint8_t device = 0;
    uint16_t count = 0;
    uint64_t lba = 0;
};

// ACS-3, 4: how the data of a command move.
enum class AtaProtocol : uint8_t {
    non_data,
    pio,  // with an interrupt for each block of drq_length
    dma,
    queued,  // FPDMA
    packet,  // the command block comes first: start_packet()
};

struct AtaPlan {
    DataPlan data;  // failed: `output` says why
    AtaProtocol protocol = AtaProtocol::non_data;
    uint64_t drq_length = ata::kSector;
    AtaOutput output;
};

class AtaDevice {
public:
    AtaDevice(const AtaDevice&) = delete;
    AtaDevice& operator=(const AtaDevice&) = delete;
    virtual ~AtaDevice() = default;

    BlockBackend& backend() const { return backend_; }
    virtual bool is_packet_device() const = 0;

    virtual AtaPlan start(const AtaCommand& command, BlockWork& work) = 0;
    // After a data_out of the same command.
    virtual AtaPlan take_parameters(const AtaCommand& command, std::span<const std::byte> bytes,
                                    BlockWork& work) = 0;
    // Of a packet device, after a plan with the protocol packet.
    virtual DataPlan start_packet(std::span<const uint8_t> packet, BlockWork& work) = 0;
    virtual DataPlan take_packet_parameters(std::span<const std::byte> bytes, BlockWork& work) = 0;
    // A plan came to grief: `done` bytes of the medium were transferred.
    virtual AtaOutput fail_plan(const AtaCommand& command, PlanRunner::Result result, bool write,
                                uint64_t done) = 0;
    // Of a packet command that failed, also of one whose plan failed.
    virtual uint8_t packet_error() const { return ata::kErrorAbort; }

    // The registers after a reset or a diagnosis (ACS-3, 9.12).
    AtaOutput signature() const;
    // What the two kinds of reset leave of the device's settings.
    void reset();
    void soft_reset();

    virtual AtaDeviceStateV1 state() const { return state_; }
    // Into a device after reset(). False when no device could have saved this.
    virtual bool restore(const AtaDeviceStateV1& state);

protected:
    AtaDevice(const AtaDeviceConfig& config, BlockBackend& backend);

    virtual void on_reset() {}

    AtaPlan complete(const AtaCommand& command) const;
    AtaPlan fail(const AtaCommand& command, uint8_t error) const;
    // The first sector of a cleared buffer, and its plan.
    std::span<le16> words();
    AtaPlan respond_words(const AtaCommand& command) const;
    bool set_transfer_mode(uint8_t mode);
    // What IDENTIFY (PACKET) DEVICE has in common.
    void identify_names(std::string_view model);
    void identify_modes();
    // Byte 510 and 511: ACS-3, 7.12.7.87.
    void seal_identify();
    AtaCable cable() const { return cable_; }
    AtaOutput echo(const AtaCommand& command) const;

    // guest-visible state
    AtaDeviceStateV1 state_;

private:
    // configuration
    AtaCable cable_;
    std::array<char, 20> serial_{};
    // wiring
    BlockBackend& backend_;
    // bookkeeping
    std::array<le16, 256> words_{};
};

}  // namespace banyan
