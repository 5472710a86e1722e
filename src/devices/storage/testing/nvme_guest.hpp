// A guest with an NVMe controller, for its tests and fuzz target: registers by the BAR, queues in
// memory, as a driver has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "devices/storage/nvme_controller.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

// What a board gives to the controller.
struct NvmeBench {
    explicit NvmeBench(uint64_t disk_size = 1 << 20, bool read_only = false,
                       uint64_t ram_size = 2 << 20)
        : ram(ram_size), disk(disk_size, read_only) {}

    FakeRam ram;
    FakeClock clock;
    FakeTimerService timers{clock};
    FakeBarMapper mapper;
    RecordingMsi msi;
    RecordingIrq irq;
    MemoryBlock disk;

    NvmeWiring wiring() { return {ram.memory(), disk, mapper, msi, clock, timers, irq.line()}; }
};

class NvmeGuest {
public:
    static constexpr uint64_t kRegisters = 0xC000'0000;
    static constexpr uint64_t kMsix = 0xC001'0000;
    static constexpr uint32_t kEntries = 16;
    // Queue n has its submission queue here, its completion queue a page later.
    static constexpr uint64_t queue_base(unsigned n) { return 0x10000 + n * uint64_t{0x2000}; }

    NvmeGuest(NvmeBench& bench, NvmeController& controller)
        : bench_(bench), controller_(controller) {
        place();
    }

    // BARs, memory decoding, bus mastering.
    void place() {
        controller_.set_bar_address(0, kRegisters);
        controller_.set_bar_address(4, kMsix);
        controller_.config_write(4, 2, 6);
    }

    uint64_t read(nvme::Reg reg, unsigned size = 4) {
        return bench_.mapper.read(kRegisters + static_cast<uint64_t>(reg), size);
    }
    void write(nvme::Reg reg, uint64_t value, unsigned size = 4) {
        (void)bench_.mapper.write(kRegisters + static_cast<uint64_t>(reg), size, value);
    }
    void doorbell(unsigned index, uint32_t value) {
        (void)bench_.mapper.write(kRegisters + nvme::kDoorbells + 4 * index, 4, value);
    }

    // Section 7.6.1: admin queues, then EN; true when ready.
    bool enable() {
        queues_.assign(NvmeController::kQueues, {});
        write(nvme::Reg::admin_queue_sizes, (kEntries - 1) << 16 | (kEntries - 1));
        write(nvme::Reg::admin_submission, queue_base(0), 8);
        write(nvme::Reg::admin_completion, queue_base(0) + 0x1000, 8);
        clear_queue(0);
        write(nvme::Reg::configuration, 0x0046'0001);
        return (read(nvme::Reg::status) & 3) == 1;
    }
    void enable_msix() {
        controller_.config_write(msix_control(), 2, 0x8000);
        for (unsigned vector = 0; vector < 4; ++vector) {
            const uint64_t entry = kMsix + 16 * vector;
            (void)bench_.mapper.write(entry, 8, 0xFEE0'0000);
            (void)bench_.mapper.write(entry + 8, 8, 0x40 + vector);
        }
    }
    // Creates pair n with vector n. False when the controller refuses.
    bool create_pair(unsigned n) {
        clear_queue(n);
        nvme::Command cq = admin(nvme::Admin::create_cq);
        cq.prp1 = queue_base(n) + 0x1000;
        cq.cdw10 = (kEntries - 1) << 16 | n;
        cq.cdw11 = n << 16 | 3;
        nvme::Command sq = admin(nvme::Admin::create_sq);
        sq.prp1 = queue_base(n);
        sq.cdw10 = (kEntries - 1) << 16 | n;
        sq.cdw11 = n << 16 | 1;
        return status_of(0, cq) == 0 && status_of(0, sq) == 0;
    }

    static nvme::Command admin(nvme::Admin opcode) {
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(opcode);
        return command;
    }
    static nvme::Command io(nvme::Io opcode, uint64_t block = 0, uint32_t count = 1,
                            uint64_t prp1 = 0, uint64_t prp2 = 0) {
        nvme::Command command;
        command.opcode = static_cast<uint8_t>(opcode);
        command.nsid = 1U;
        command.prp1 = prp1;
        command.prp2 = prp2;
        command.cdw10 = static_cast<uint32_t>(block);
        command.cdw11 = static_cast<uint32_t>(block >> 32);
        command.cdw12 = count - 1;
        return command;
    }

    // Puts a command into the queue without ringing; gives its id.
    uint16_t put(unsigned n, nvme::Command command) {
        Queue& queue = queues_[n];
        command.id = ++last_id_;
        const Gpa at{queue_base(n) + queue.tail * sizeof(command)};
        (void)bench_.ram.memory().write_object(at, command);
        queue.tail = (queue.tail + 1) % kEntries;
        return last_id_;
    }
    void ring(unsigned n) { doorbell(2 * n, queues_[n].tail); }
    uint16_t submit(unsigned n, const nvme::Command& command) {
        const uint16_t id = put(n, command);
        ring(n);
        return id;
    }
    // The next completion, or nothing; the head's doorbell is rung.
    std::optional<nvme::Completion> take(unsigned n) {
        Queue& queue = queues_[n];
        nvme::Completion entry;
        const Gpa at{queue_base(n) + 0x1000 + queue.head * sizeof(entry)};
        (void)bench_.ram.memory().read_object(at, entry);
        if (((entry.status_and_phase & 1) != 0) != queue.phase) return std::nullopt;
        queue.head = (queue.head + 1) % kEntries;
        if (queue.head == 0) queue.phase = !queue.phase;
        doorbell(2 * n + 1, queue.head);
        return entry;
    }
    // Submits, and gives the status without the "do not retry" bit; all ones when none came.
    unsigned status_of(unsigned n, const nvme::Command& command) {
        submit(n, command);
        const auto entry = take(n);
        return entry ? (entry->status_and_phase >> 1) & 0x7FFU : ~0U;
    }
    uint32_t result_of(const nvme::Command& command) {
        submit(0, command);
        const auto entry = take(0);
        return entry ? uint32_t{entry->result} : ~0U;
    }
    void forget_queue(unsigned n) { clear_queue(n); }

private:
    struct Queue {
        uint32_t tail = 0;
        uint32_t head = 0;
        bool phase = true;
    };

    void clear_queue(unsigned n) {
        queues_[n] = {};
        const std::vector<std::byte> zeroes(0x2000);
        (void)bench_.ram.memory().write(Gpa{queue_base(n)}, zeroes);
    }
    uint16_t msix_control() {
        auto at = static_cast<uint16_t>(controller_.config_read(0x34, 1));
        while (controller_.config_read(at, 1) != 0x11)
            at = static_cast<uint16_t>(controller_.config_read(static_cast<uint16_t>(at + 1), 1));
        return static_cast<uint16_t>(at + 2);
    }

    NvmeBench& bench_;
    NvmeController& controller_;
    std::vector<Queue> queues_ = std::vector<Queue>(NvmeController::kQueues);
    uint16_t last_id_ = 0;
};

}  // namespace banyan
