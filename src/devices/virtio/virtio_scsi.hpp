// VirtioScsi: a SCSI host adapter with logical units behind it (virtio 1.2, section 5.6): a control
// queue, an event queue that nothing is told by, and one request queue.
//
// Up to kMaxInFlight commands are with the back ends at a time; further ones stay in the ring. Data
// move between the back ends and guest memory directly.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/scsi/scsi_unit.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "devices/virtio/virtio_scsi_regs.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct VirtioScsiUnit {
    uint8_t target = 0;
    uint8_t lun = 0;
    std::unique_ptr<ScsiUnit> unit;
};

class VirtioScsi final : public VirtioDevice, private BlockClient {
public:
    static constexpr unsigned kMaxInFlight = 32;

    // No two of the units have the same target and LUN.
    VirtioScsi(GuestMemory& memory, std::vector<VirtioScsiUnit> units);

    std::span<const std::byte> config_space() const override;
    void write_config(uint32_t offset, unsigned size, uint32_t value) override;
    void drain() override;

private:
    // The data part of a chain, as a scatter list.
    class ChainData final : public DmaSource {
    public:
        void start(std::span<const VirtioSegment> segments, uint64_t skip);
        Next next(DmaSegment& segment) override;

    private:
        std::span<const VirtioSegment> segments_;
        uint64_t skip_ = 0;
    };

    // A request that was taken from the ring and not yet given back.
    struct Request {
        explicit Request(GuestMemory& memory);

        DescriptorChain chain;
        PlanRunner runner;
        ChainData data;
        DataPlan plan;
        scsi::Cdb cdb{};
        uint64_t id = 0;
        ScsiUnit* unit = nullptr;
        bool busy = false;
    };

    Step step(unsigned queue) override;
    Step step_request();
    Step step_control();
    void on_block_complete(uint64_t cookie, BlockStatus status) override;

    void start(Request& request);
    void start_without_unit(Request& request);
    void report_luns(Request& request, uint8_t target);
    void carry_out(Request& request);
    void plan_ended(Request& request);
    void check_condition(Request& request, const scsi::Sense& sense);
    void finish(Request& request, const virtio::ScsiResponseHeader& response,
                const scsi::Sense& sense = scsi::kNoSense);
    void answer_with_bytes(Request& request, std::span<const std::byte> bytes,
                           uint64_t allocation_length);
    le32 residual(const Request& request, uint64_t moved) const;
    uint64_t request_size() const;
    uint64_t response_size() const;

    virtio::ScsiResponse task_management(const virtio::ScsiTaskManagement& asked);
    bool in_flight(const ScsiUnit* unit, const uint64_t* id) const;

    static bool parse(const virtio::ScsiLun& lun, uint8_t& target, uint16_t& number);
    bool has_target(uint8_t target) const;
    ScsiUnit* find(uint8_t target, uint16_t lun) const;

    void on_reset() override;
    void save_device(StateWriter& writer) const override;
    Result<void> restore_device(StateReader& reader) override;

    // sub-devices
    std::vector<VirtioScsiUnit> units_;
    // bookkeeping
    std::vector<Request> requests_;
    std::vector<uint16_t> free_;  // indices of requests_ that are not busy
    DescriptorChain control_chain_;
    bool draining_ = false;
    bool stalled_ = false;     // something waits in the ring for a free request
    bool in_control_ = false;  // the control queue runs, and not the requests'
    // guest-visible state
    virtio::ScsiConfig config_;
};

}  // namespace banyan
