// The body of the virtio devices' fuzz targets: a driver that knows the protocol well enough to
// reach everything, and breaks it at random, with queues of either layout. Sanitizers say whether
// the device left guest memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "devices/virtio/testing/guest_driver.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace banyan {

class VirtioFuzz {
public:
    // Small, because it is new for each input: buffers, tables, queues.
    static constexpr uint64_t kRamSize = 0x2'4000;

    // Called with the input for events that only this device knows.
    using Event = std::function<void(FuzzBytes&)>;
    // Writes what a request may start with, for devices whose requests start with more than a few
    // small numbers.
    using Header = std::function<void(Gpa, FuzzBytes&)>;

    VirtioFuzz(VirtioBench& bench, std::unique_ptr<VirtioDevice> device, Event event,
               Header header = {})
        : bench_(bench),
          pci_(std::move(device), bench.wiring()),
          guest_(bench, pci_),
          event_(std::move(event)),
          header_(std::move(header)) {}

    void run(FuzzBytes& bytes) {
        start(bytes);
        DeviceFuzzOptions options;
        options.other_action = [this](FuzzBytes& rest) { act(rest); };
        fuzz_device(bytes, pci_, bench_.timers, options);
    }

private:
    // A driver that does everything right so far.
    void start(FuzzBytes& bytes) {
        guest_.place();
        const uint64_t features =
            bytes.u32() | uint64_t{bytes.u16()} << 32 | virtio::kFeatureVersion1;
        const uint64_t accepted = features & guest_.offered_features();
        (void)guest_.negotiate(accepted);
        packed_ = (accepted & virtio::kFeatureRingPacked) != 0;
        if ((bytes.u8() & 1) != 0) guest_.enable_msix();
        queues_.clear();
        const auto count = static_cast<uint16_t>(guest_.read(virtio::Common::num_queues, 2));
        for (uint16_t i = 0; i < count; ++i)
            queues_.push_back(set_up(i, bytes));
        guest_.driver_ok();
    }
    using Queue = std::variant<GuestQueue, PackedGuestQueue>;
    Queue set_up(uint16_t index, FuzzBytes& bytes) {
        if (packed_)
            return guest_.setup_packed_queue(index, static_cast<uint16_t>(1U + bytes.u8() % 64));
        return guest_.setup_queue(index, static_cast<uint16_t>(1U << bytes.u8() % 7));
    }
    void reset_queue(FuzzBytes& bytes) {
        if (queues_.empty()) return;
        const auto index = static_cast<uint16_t>(bytes.u8() % queues_.size());
        guest_.reset_queue(index);
        queues_[index] = set_up(index, bytes);
    }

    void act(FuzzBytes& bytes) {
        switch (bytes.u8() % 14) {
            case 0: return start(bytes);
            case 1:
            case 2:
            case 3:
            case 4: return offer(bytes);
            case 5: return scribble(bytes);
            case 6: return guest_.notify(bytes.u8() % 3);
            case 7: return write_register(bytes);
            case 8: return read_register(bytes);
            case 9: return pci_.config_write(bytes.u8() & 0xfc, 4, bytes.u32());
            case 10: (void)pci_.config_read(bytes.u8() & 0xfc, 4); return;
            case 11: return use_msix(bytes);
            case 12: return reset_queue(bytes);
            default: return event_(bytes);
        }
    }

    // Mostly inside the RAM, sometimes over the rings, sometimes anywhere.
    static Gpa address(FuzzBytes& bytes) {
        switch (bytes.u8() % 8) {
            case 0: return {bytes.u64()};
            case 1: return {kRamSize - bytes.u8()};
            case 2: return {kRamSize - GuestDriver::kQueuesSize + bytes.u16()};
            default: return {bytes.u16()};
        }
    }

    void offer(FuzzBytes& bytes) {
        if (queues_.empty()) return;
        Queue& queue = queues_[bytes.u8() % queues_.size()];
        std::vector<GuestBuffer> buffers(1 + bytes.u8() % 4U);
        unsigned writable_from = bytes.u8() % 5U;
        for (unsigned i = 0; i < buffers.size(); ++i)
            buffers[i] = {address(bytes), bytes.u16(), i >= writable_from};
        fill(buffers[0].gpa, bytes);
        const bool indirect = (bytes.u8() & 1) != 0;
        std::visit(
            [&](auto& rings) {
                indirect ? rings.add_indirect(buffers, {kTables}) : rings.add(std::span(buffers));
            },
            queue);
        guest_.notify(static_cast<uint16_t>(bytes.u8() % queues_.size()));
    }
    // What a request may start with: small numbers.
    void fill(Gpa gpa, FuzzBytes& bytes) {
        if (header_) return header_(gpa, bytes);
        const std::array<uint32_t, 4> words{bytes.u8() % 16U, 0, bytes.u8(), bytes.u8() % 2U};
        (void)bench_.ram.memory().write_object(gpa, words);
    }
    void scribble(FuzzBytes& bytes) {
        const Gpa base = (bytes.u8() & 1) != 0 ? Gpa{kTables} : guest_.queues_base();
        (void)bench_.ram.memory().write_object(base + (bytes.u16() & 0x3ffU), bytes.u32());
    }
    void write_register(FuzzBytes& bytes) {
        const uint64_t page = uint64_t{bytes.u8() % 5U} << 12;
        (void)bench_.mapper.write(GuestDriver::kRegistersBase + page + bytes.u8() % 0x40U,
                                  size(bytes), bytes.u64());
    }
    void read_register(FuzzBytes& bytes) {
        const uint64_t page = uint64_t{bytes.u8() % 5U} << 12;
        (void)bench_.mapper.read(GuestDriver::kRegistersBase + page + bytes.u8() % 0x40U,
                                 size(bytes));
    }
    void use_msix(FuzzBytes& bytes) {
        const uint64_t at = GuestDriver::kMsixBase + (bytes.u16() & 0xfffU);
        (void)bench_.mapper.read(at, size(bytes));
        (void)bench_.mapper.write(at, size(bytes), bytes.u64());
    }
    static unsigned size(FuzzBytes& bytes) { return 1U << bytes.u8() % 4; }

    static constexpr uint64_t kTables = 0x1'0000;

    VirtioBench& bench_;
    VirtioPci pci_;
    GuestDriver guest_;
    Event event_;
    Header header_;
    bool packed_ = false;
    std::vector<Queue> queues_;
};

}  // namespace banyan
