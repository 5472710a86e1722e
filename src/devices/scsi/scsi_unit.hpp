// ScsiUnit: what all SCSI logical units share: INQUIRY, sense data, unit attention, mode pages
// (SPC-4). A transport asks it for the plan of a command block and has a PlanRunner carry it out.
//
// The transport does one thing after the other: start() a command; carry out the plan, with
// take_parameters() after a data_out; and, if the plan could not be carried out, fail_plan().
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "devices/scsi/data_plan.hpp"
#include "devices/scsi/plan_runner.hpp"
#include "devices/scsi/scsi_regs.hpp"
#include "devices/scsi/scsi_unit_state.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct ScsiUnitConfig {
    std::string_view serial =
        {};  // cut at kSerialLength characters; others than ASCII are replaced
};

class ScsiUnit {
public:
    static constexpr size_t kSerialLength = 20;

    ScsiUnit(const ScsiUnit&) = delete;
    ScsiUnit& operator=(const ScsiUnit&) = delete;
    virtual ~ScsiUnit() = default;

    BlockBackend& backend() const { return backend_; }

    // What a command does. For a plan of work, `work` is filled in.
    DataPlan start(const scsi::Cdb& cdb, BlockWork& work);
    // After a data_out of the same command.
    DataPlan take_parameters(const scsi::Cdb& cdb, std::span<const std::byte> bytes,
                             BlockWork& work);
    // A plan of this command was begun and came to grief: what the initiator is to be told.
    void fail_plan(PlanRunner::Result result, bool write);

    // Of the last command. take_sense() is for transports that deliver it with the status.
    scsi::Sense sense() const;
    scsi::Sense take_sense();

    // Power-on, or a reset by the bus.
    void reset();
    const ScsiUnitStateV1& state() const { return state_; }
    // Into a unit after reset(). False when no unit could have saved this.
    bool restore(const ScsiUnitStateV1& state);

protected:
    ScsiUnit(uint8_t type, const ScsiUnitConfig& config, BlockBackend& backend);

    virtual DataPlan execute(const scsi::Cdb& cdb, BlockWork& work) = 0;
    virtual DataPlan execute_with(const scsi::Cdb& cdb, std::span<const std::byte> bytes,
                                  BlockWork& work) = 0;
    // Commands that go on although a unit attention is pending, beyond INQUIRY, REPORT LUNS and
    // REQUEST SENSE.
    virtual bool ignores_attention(scsi::Op) const { return false; }
    virtual std::string_view product() const = 0;
    virtual bool removable() const = 0;
    // Writes a page of vital product data after its header; returns its length, 0: no such page.
    virtual size_t vital_page(uint8_t page, std::span<uint8_t> body) const = 0;
    virtual std::span<const uint8_t> vital_pages() const = 0;
    // Writes a mode page with its header; returns its length, 0: no such page. With `changeable`,
    // a mask of the bits that MODE SELECT can change.
    virtual size_t mode_page(uint8_t page, bool changeable, std::span<uint8_t> to) const = 0;
    virtual std::span<const uint8_t> mode_pages() const = 0;
    virtual uint8_t mode_device_parameter() const { return 0; }
    virtual size_t mode_block_descriptor(std::span<uint8_t, 8>) const { return 0; }

    DataPlan mode_sense(const scsi::Cdb& cdb);
    DataPlan fail(const scsi::Sense& sense);
    // The first bytes of buffer(), cut at the allocation length.
    DataPlan respond(size_t length, uint64_t allocation_length);
    // A cleared buffer for a response.
    std::span<uint8_t> buffer();
    void set_attention(const scsi::Sense& sense);

    // guest-visible state
    ScsiUnitStateV1 state_;

private:
    DataPlan inquiry(const scsi::Cdb& cdb);
    DataPlan standard_inquiry(uint64_t allocation_length);
    DataPlan vital_product_data(uint8_t page, uint64_t allocation_length);
    size_t device_identification(std::span<uint8_t> body) const;
    DataPlan request_sense(const scsi::Cdb& cdb);
    size_t add_mode_pages(uint8_t page, bool changeable, std::span<uint8_t> to) const;
    bool attention_stops(scsi::Op op) const;

    // configuration
    uint8_t type_;
    std::array<uint8_t, kSerialLength> serial_{};
    // wiring
    BlockBackend& backend_;
    // bookkeeping
    std::array<uint8_t, 512> buffer_{};
};

// Fields of command blocks and parameter lists, which are big-endian.
namespace scsi {

template <class Bytes>
constexpr uint64_t big_endian(const Bytes& bytes, size_t at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i)
        value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
}

template <class Bytes>
constexpr void put_big_endian(Bytes&& bytes, size_t at, size_t size, uint64_t value) {
    for (size_t i = size; i-- > 0; value >>= 8)
        bytes[at + i] = static_cast<uint8_t>(value);
}

}  // namespace scsi

}  // namespace banyan
