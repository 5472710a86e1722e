// A guest with an 82574L, for its tests and fuzz target: registers by the BAR, rings in memory, as
// a driver has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "devices/net/e1000e.hpp"
#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "vm/testing/fake_network.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

// What a board gives to the card.
struct E1000eBench {
    static constexpr e1000e::Address kAddress{0x52, 0x54, 0, 0x12, 0x34, 0x56};

    FakeRam ram{2 << 20};
    FakeBarMapper mapper;
    RecordingMsi msi;
    RecordingIrq irq;
    FakeNetwork network;

    E1000e::Wiring wiring() { return {ram.memory(), mapper, irq.line(), msi, network}; }
};

class E1000eGuest {
public:
    static constexpr uint64_t kRegisters = 0xC000'0000;
    static constexpr uint64_t kMessages = 0xC002'0000;
    static constexpr uint64_t kReceiveRing = 0x10000;
    static constexpr uint64_t kTransmitRing = 0x20000;
    static constexpr uint64_t kBuffers = 0x40000;  // 2 KiB for each receive descriptor
    static constexpr uint64_t kFrames = 0x80000;   // what is sent
    static constexpr uint32_t kDescriptors = 8;

    static constexpr uint32_t kEnable = 1 << 1;
    static constexpr uint32_t kBroadcast = 1 << 15;
    static constexpr uint32_t kStripCrc = 1 << 26;

    explicit E1000eGuest(E1000eBench& bench)
        : card(E1000eBench::kAddress, bench.wiring()), bench_(bench) {
        place();
    }

    void place() {
        card.set_bar_address(0, kRegisters);
        card.set_bar_address(3, kMessages);
        card.config_write(4, 2, 6);
    }
    uint32_t read(uint32_t offset) {
        return static_cast<uint32_t>(bench_.mapper.read(kRegisters + offset, 4));
    }
    void write(uint32_t offset, uint32_t value) {
        (void)bench_.mapper.write(kRegisters + offset, 4, value);
    }

    // Rings of kDescriptors, of which the receive ring's are free but for one; both directions on.
    void enable(uint32_t receive_control = kEnable | kBroadcast | kStripCrc) {
        write(e1000e::RDBAL, kReceiveRing);
        write(e1000e::RDLEN, kDescriptors * 16);
        for (uint32_t i = 0; i < kDescriptors; ++i)
            put(kReceiveRing + 16 * i, le64{kBuffers + 2048 * i});
        write(e1000e::RDT, kDescriptors - 1);
        write(e1000e::TDBAL, kTransmitRing);
        write(e1000e::TDLEN, kDescriptors * 16);
        write(e1000e::RCTL, receive_control);
        write(e1000e::TCTL, 2);
    }

    // A descriptor behind those that were put; the card sees it with the next ring_bell().
    void put_transmit(const e1000e::TransmitDescriptor& descriptor) {
        put(kTransmitRing + 16 * tail_, descriptor);
        tail_ = (tail_ + 1) % kDescriptors;
    }
    void ring_bell() { write(e1000e::TDT, tail_); }
    // A legacy descriptor for the whole frame.
    void send(std::string_view frame) {
        (void)bench_.ram.memory().write(Gpa{kFrames}, std::as_bytes(std::span(frame)));
        put_transmit({kFrames, static_cast<uint32_t>(frame.size()) | 0x0900'0000U, uint32_t{0}});
        ring_bell();
    }
    template <class T>
    T get(uint64_t gpa) {
        T value{};
        (void)bench_.ram.memory().read_object(Gpa{gpa}, value);
        return value;
    }
    template <class T>
    void put(uint64_t gpa, const T& value) {
        (void)bench_.ram.memory().write_object(Gpa{gpa}, value);
    }
    std::string text(uint64_t gpa, size_t size) {
        std::string bytes(size, '\0');
        (void)bench_.ram.memory().read(Gpa{gpa}, std::as_writable_bytes(std::span(bytes)));
        return bytes;
    }

    E1000e card;

private:
    E1000eBench& bench_;
    uint32_t tail_ = 0;
};

}  // namespace banyan
