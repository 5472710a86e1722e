// NvmeController: a disk as an NVMe controller with one namespace (NVM Express Base Specification
// 1.4), as a PCI function with the identity of QEMU's, so that drivers treat it alike.
//
// Data move between the backend and guest memory directly. Up to kMaxInFlight requests are with the
// backend at a time; further commands stay in their queues, as do those for whose completions there
// is no room. What is not there: SGLs, fused commands, COMPARE, metadata, more namespaces, formats.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "devices/pci/pci_function.hpp"
#include "devices/storage/nvme_buffers.hpp"
#include "devices/storage/nvme_identify.hpp"
#include "devices/storage/nvme_regs.hpp"
#include "vm/backend.hpp"
#include "vm/clock.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

struct NvmeStateV1;

struct NvmeWiring {
    GuestMemory& memory;
    BlockBackend& backend;
    PciBarMapper& mapper;
    MsiSink& msi;
    const Clock& clock;
    TimerService& timers;
    IrqLine intx = {};
};

class NvmeController final : public PciFunction,
                             private MmioIo,
                             private TimerClient,
                             private BlockClient {
public:
    static constexpr unsigned kMaxIoQueues = 64;
    static constexpr unsigned kQueues = kMaxIoQueues + 1;  // pair 0 is that of admin commands
    static constexpr unsigned kMaxEntries = 1024;
    static constexpr unsigned kMaxInFlight = 128;
    static constexpr unsigned kMaxEventRequests = 4;

    // `serial` is cut at 20 characters.
    NvmeController(std::string_view serial, const NvmeWiring& wiring);

    std::string_view name() const override { return "nvme"; }
    void reset() override;
    void drain() const override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

private:
    using Command = nvme::Command;
    using StatusCode = nvme::StatusCode;

    struct SubmissionQueue {
        bool exists = false;
        Gpa base;
        uint32_t size = 0;  // entries
        uint16_t head = 0;
        uint16_t tail = 0;
        uint16_t cq = 0;
    };
    struct CompletionQueue {
        bool exists = false;
        Gpa base;
        uint32_t size = 0;
        uint16_t head = 0;
        uint16_t tail = 0;
        bool phase = true;
        bool interrupts = false;
        uint16_t vector = 0;
    };
    enum class Event : uint8_t { invalid_doorbell, invalid_doorbell_value, temperature };
    struct State {
        uint32_t interrupt_mask = 0;
        nvme::Configuration configuration;
        nvme::Status status;
        nvme::AdminQueueSizes admin_queue_sizes;
        uint64_t admin_submission = 0;
        uint64_t admin_completion = 0;
        std::array<SubmissionQueue, kQueues> submission{};
        std::array<CompletionQueue, kQueues> completion{};
        std::array<uint32_t, 12> features{};                       // by Feature
        std::array<uint8_t, kQueues> vector_features{};            // coalescing disabled
        std::array<uint16_t, kMaxEventRequests> event_requests{};  // their command ids
        uint8_t event_request_count = 0;
        uint8_t events = 0;         // by Event: happened, not told yet
        uint8_t events_masked = 0;  // by Event: told, and its log page was not read since
    };
    // A command that was taken from its queue and not yet completed.
    struct Request {
        NvmeBuffers buffers;
        uint16_t sq = 0;
        uint16_t id = 0;
        BlockRequest::Kind kind = BlockRequest::Kind::read;
        bool flush_next = false;
        uint16_t ranges = 0;  // of DATASET MANAGEMENT
        uint16_t next_range = 0;
        bool busy = false;
    };

    // registers: nvme_controller.cpp
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;
    uint32_t read_register(uint32_t offset) const;
    void write_register(uint32_t offset, uint32_t value);
    void write_configuration(uint32_t value);
    void enable();
    void disable();
    void shut_down();
    void on_config_written(uint16_t offset, unsigned size) override;
    void on_timer(unsigned cookie) override;
    void reset_controller();
    void set_default_features();
    bool valid(const NvmeStateV1& saved) const;
    void load(const NvmeStateV1& saved);
    Result<void> apply(StateReader& reader);

    // queues: nvme_queues.cpp
    bool live() const;
    void ring_doorbell(uint32_t index, uint32_t value);
    void set_submission_tail(unsigned queue, uint32_t value);
    void set_completion_head(unsigned queue, uint32_t value);
    void run_all_queues();
    void run_queue(unsigned queue);
    void run_later();
    bool room_for_completion(unsigned cq) const;
    bool fetch(unsigned queue, Command& command);
    void complete(uint16_t sq, uint16_t id, uint16_t status, uint32_t result = 0);
    void flush_interrupts();
    void update_intx();

    // admin commands: nvme_admin.cpp
    struct Answer {
        uint16_t status = nvme::SUCCESS;
        uint32_t result = 0;
    };
    void run_admin(const Command& command);
    Answer carry_out(const Command& command);
    Answer create_submission_queue(const Command& command);
    Answer create_completion_queue(const Command& command);
    Answer delete_submission_queue(const Command& command);
    Answer delete_completion_queue(const Command& command);
    Answer identify(const Command& command);
    Answer get_log_page(const Command& command);
    Answer get_features(const Command& command);
    Answer set_features(const Command& command);
    Answer set_temperature_threshold(uint32_t value);
    Answer give(const Command& command, std::span<const std::byte> data, uint64_t length);
    void request_event(uint16_t id);
    void raise_event(Event event);
    void tell_events();
    uint32_t& feature(nvme::Feature which) { return state_.features[static_cast<unsigned>(which)]; }
    uint32_t feature(nvme::Feature which) const {
        return state_.features[static_cast<unsigned>(which)];
    }

    // I/O commands: nvme_io.cpp
    void run_io(unsigned sq, const Command& command);
    uint16_t start(Request& request, const Command& command);
    uint16_t start_transfer(Request& request, const Command& command, bool write);
    uint16_t start_write_zeroes(Request& request, const Command& command);
    uint16_t start_deallocate(Request& request, const Command& command);
    uint16_t deallocate_next(Request& request);
    void start_flush(Request& request);
    void submit(Request& request, BlockRequest::Kind kind, uint64_t offset, uint64_t length);
    void on_block_complete(uint64_t cookie, BlockStatus status) override;
    void finish(Request& request, uint16_t status);
    bool write_through() const;
    bool inside(uint64_t first, uint64_t blocks) const;
    uint16_t error_of(const Request& request, BlockStatus status) const;

    // configuration
    const nvme::Disk disk_;
    const nvme::IdentifyPage controller_page_;
    const nvme::IdentifyPage namespace_page_;
    const nvme::IdentifyPage descriptors_page_;
    // wiring
    GuestMemory& memory_;
    BlockBackend& backend_;
    const Clock& clock_;
    const std::unique_ptr<Timer> timer_;
    // sub-devices
    Msix msix_;
    // bookkeeping
    std::vector<Request> requests_;
    std::vector<uint16_t> free_;                   // indices of requests_ that are not busy
    std::array<uint16_t, kQueues> outstanding_{};  // by completion queue: commands taken from SQs
    std::array<bool, kQueues> signal_{};           // completion queues with news
    NvmeBuffers admin_buffers_;
    mutable bool draining_ = false;
    bool shutting_down_ = false;  // the flush of a shutdown is in flight
    // guest-visible state
    State state_;
};

}  // namespace banyan
