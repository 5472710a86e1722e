// Drives a device with random accesses: the body of a device's fuzz target.
//
//     extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
//         FakeClock clock;
//         FakeTimerService timers(clock);
//         RecordingIrq irq;
//         Pit8254 pit(clock, timers, irq.line());
//         FuzzBytes bytes(data, size);
//         fuzz_device(bytes, pit, timers, {});
//         return 0;
//     }
//
// The input is a list of actions: read or write a register, let time pass, let the host be late,
// reset, save and restore, restore a damaged state, and whatever else the target adds. What must
// hold: no crash, no sanitizer report, a saved state loads and gives the same bytes again, and time
// that passes does not cost an unbounded number of timers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "snapshot/state.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"
#include "vm/device.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

// Consumes a fuzzer's input from the front; zeroes when it is used up.
class FuzzBytes {
public:
    FuzzBytes(const uint8_t* data, size_t size) : bytes_(data, size) {}

    bool empty() const { return bytes_.empty(); }
    uint8_t u8() {
        if (bytes_.empty()) return 0;
        const uint8_t byte = bytes_[0];
        bytes_ = bytes_.subspan(1);
        return byte;
    }
    uint16_t u16() { return static_cast<uint16_t>(little_endian(2)); }
    uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
    uint64_t u64() { return little_endian(8); }

private:
    uint64_t little_endian(unsigned size) {
        uint64_t value = 0;
        for (unsigned i = 0; i < size; ++i)
            value |= uint64_t{u8()} << (8 * i);
        return value;
    }

    std::span<const uint8_t> bytes_;
};

struct DeviceFuzzOptions {
    uint64_t mmio_size = 0;  // bytes of the device's range, when it has mmio()
    std::function<void(FuzzBytes&)> other_action = {};  // what else can happen to this device
    uint64_t max_timers_per_second = 20'000;
};

namespace fuzz_detail {

class DeviceFuzzer {
public:
    DeviceFuzzer(FuzzBytes& bytes, Device& device, FakeTimerService& timers,
                 const DeviceFuzzOptions& options)
        : bytes_(bytes), device_(device), timers_(timers), options_(options) {}

    void run() {
        for (unsigned actions = 0; !bytes_.empty() && actions < kMaxActions; ++actions)
            step();
    }

private:
    static constexpr unsigned kMaxActions = 4096;

    void step() {
        switch (const uint8_t what = bytes_.u8(); what % 16) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4: return write();
            case 5:
            case 6:
            case 7:
            case 8: return read();
            case 9:
            case 10: return advance();
            case 11: return timers_.jump(bytes_.u32() * uint64_t{1000});
            case 12: return what == 12 ? device_.reset() : read();
            case 13: return save_and_restore();
            case 14: return restore_damaged();
            default:
                if (options_.other_action) options_.other_action(bytes_);
        }
    }

    bool use_port(uint8_t choice) const {
        return device_.pio() != nullptr && (device_.mmio() == nullptr || (choice & 1U) != 0);
    }
    uint16_t choose_port() {
        const auto ranges = device_.port_ranges();
        if (ranges.empty()) return 0;
        const PortRange& range = ranges[bytes_.u8() % ranges.size()];
        return static_cast<uint16_t>(range.first +
                                     (range.count != 0 ? bytes_.u8() % range.count : 0));
    }
    uint64_t choose_offset(unsigned size) {
        if (options_.mmio_size < size) return 0;
        return (bytes_.u16() % (options_.mmio_size / size)) * size;
    }

    void write() {
        const uint8_t choice = bytes_.u8();
        if (use_port(choice)) {
            const unsigned size = 1U << ((choice >> 1) % 3);
            const uint16_t port = choose_port();
            (void)device_.pio()->port_write(port, size,
                                            cut32(size == 1 ? bytes_.u8() : bytes_.u32(), size));
        } else if (device_.mmio() != nullptr) {
            const unsigned size = 1U << ((choice >> 1) % 4);
            const uint64_t offset = choose_offset(size);
            const uint64_t value = size <= 4 ? bytes_.u32() : bytes_.u64();
            (void)device_.mmio()->mmio_write(offset, size, value & size_mask(size));
        }
    }

    void read() {
        const uint8_t choice = bytes_.u8();
        if (use_port(choice)) {
            uint32_t value = 0;
            (void)device_.pio()->port_read(choose_port(), 1U << ((choice >> 1) % 3), value);
        } else if (device_.mmio() != nullptr) {
            const unsigned size = 1U << ((choice >> 1) % 4);
            uint64_t value = 0;
            (void)device_.mmio()->mmio_read(choose_offset(size), size, value);
        }
    }

    // Up to 67 ms, each timer in its turn: a device that wakes the host too often is found here.
    void advance() {
        const uint64_t ns = bytes_.u32() & 0x3FF'FFFF;
        const uint64_t before = timers_.fired();
        timers_.advance(ns);
        const uint64_t allowed = 16 + options_.max_timers_per_second * ns / 1'000'000'000;
        BANYAN_ASSERT(timers_.fired() - before <= allowed);
    }

    std::vector<std::byte> saved() const {
        StateWriter writer;
        device_.save(writer);
        return writer.take();
    }

    void save_and_restore() {
        const auto before = saved();
        StateReader reader(before);
        BANYAN_ASSERT(device_.restore(reader).has_value());
        BANYAN_ASSERT(saved() == before);
    }

    // A state from a damaged or hostile file: refused or not, the device must go on safely.
    void restore_damaged() {
        auto state = saved();
        if (state.empty()) return;
        for (unsigned flips = bytes_.u8() % 8 + 1U; flips > 0; --flips) {
            state[bytes_.u16() % state.size()] ^= static_cast<std::byte>(bytes_.u8());
        }
        StateReader reader(state);
        (void)device_.restore(reader);
    }

    static uint32_t cut32(uint32_t value, unsigned size) {
        return value & static_cast<uint32_t>(size_mask(size));
    }

    FuzzBytes& bytes_;
    Device& device_;
    FakeTimerService& timers_;
    const DeviceFuzzOptions& options_;
};

}  // namespace fuzz_detail

inline void fuzz_device(FuzzBytes& bytes, Device& device, FakeTimerService& timers,
                        const DeviceFuzzOptions& options) {
    fuzz_detail::DeviceFuzzer(bytes, device, timers, options).run();
}

}  // namespace banyan
