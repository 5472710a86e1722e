// Dma8237: one DMA controller of four channels (Intel 8237A data sheet, order number 231466).
// Dma8237Pair: the two of a PC with their page registers. Channels 0 to 3 move bytes, 5 to 7 words;
// channel 4 cascades the first controller into the second.
//
// As in PCI chipsets there are no transfers from memory to memory, and requests by software only
// show in the status: nothing answers them.
//
// The pair has a lock of its own, because devices move their bytes from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "support/mutex.hpp"
#include "vm/device.hpp"
#include "vm/dma.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

struct Dma8237StateV1;

class Dma8237 {
public:
    static constexpr unsigned kChannels = 4;

    // What a channel does with the next units (bytes or words) of a device.
    struct Run {
        enum class Kind : uint8_t { none, verify, to_memory, from_memory };
        Kind kind = Kind::none;
        uint16_t address = 0;  // of the first unit
        bool down = false;     // addresses descend
        uint32_t units = 0;    // so many without a wrap of the address
    };

    void reset() { state_ = {}; }
    void save(Dma8237StateV1& saved) const;
    bool restore(const Dma8237StateV1& saved);

    uint8_t read(unsigned index);
    void write(unsigned index, uint8_t value);

    bool cascades(unsigned channel) const;
    // The next run of at most `units`; units is 0 when the channel moves nothing now.
    Run next(unsigned channel, uint32_t units) const;
    // So many units of the run have moved: true when the count has run out.
    bool advance(unsigned channel, uint32_t units);

private:
    struct Channel {
        uint16_t base_address = 0;
        uint16_t base_count = 0;
        uint16_t address = 0;
        uint16_t count = 0;
        uint8_t mode = 0;
    };
    struct State {
        std::array<Channel, kChannels> channels{};
        uint8_t command = 0;
        uint8_t mask = 0x0F;
        uint8_t request = 0;     // by software
        uint8_t reached = 0;     // terminal counts since the status was read
        bool high_byte = false;  // the flip-flop
    };

    bool open(unsigned channel) const;
    bool flip();
    void write_word(unsigned index, uint8_t value);
    static void set_bit(uint8_t& bits, uint8_t value);

    State state_;
};

class Dma8237Pair final : public Device, public PortIo, public DmaSink {
public:
    struct Wiring {
        GuestMemory& memory;
    };
    explicit Dma8237Pair(const Wiring& wiring) : memory_(wiring.memory) {}

    // What firmware leaves: the cascade is open.
    void set_up_cascade();

    std::string_view name() const override { return "dma8237"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    DmaMoved from_device(unsigned channel, std::span<const std::byte> bytes) override;
    DmaMoved to_device(unsigned channel, std::span<std::byte> bytes) override;

private:
    using Run = Dma8237::Run;

    template <class Move>
    DmaMoved move_all(unsigned channel, size_t bytes, Move move);
    Dma8237& chip_of(unsigned channel) REQUIRES(mutex_) { return chips_[channel / 4]; }
    Gpa place(unsigned channel, uint16_t address) const REQUIRES(mutex_);
    Result<void> apply(StateReader& reader) REQUIRES(mutex_);
    void reset_locked() REQUIRES(mutex_);

    // wiring
    GuestMemory& memory_;

    // bookkeeping
    mutable Mutex mutex_;

    // guest-visible state
    std::array<Dma8237, 2> chips_ GUARDED_BY(mutex_){};
    std::array<uint8_t, 16> pages_ GUARDED_BY(mutex_){};
};

}  // namespace banyan
