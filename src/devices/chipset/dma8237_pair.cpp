// The two controllers on the board: ports, page registers, cascade, and the way to memory.
#include <algorithm>

#include "devices/chipset/dma8237.hpp"
#include "devices/chipset/dma8237_regs.hpp"
#include "devices/chipset/dma8237_state.hpp"
#include "snapshot/state.hpp"

namespace banyan {

using namespace dma;

namespace {

constexpr uint16_t kController2Ports = 32;
constexpr std::array<PortRange, 3> kDmaPorts{
    {{kController1, 16}, {kPages, 16}, {kController2, kController2Ports}}};

constexpr unsigned kCascadeChannel = 4;
// The page register of each channel, of channel 4 that for refresh (ICH9 data sheet, table "DMA I/O
// registers"); the others are memory that nothing reads.
constexpr std::array<uint8_t, 8> kPageOf{0x7, 0x3, 0x1, 0x2, 0xF, 0xB, 0x9, 0xA};

}  // namespace

std::span<const PortRange> Dma8237Pair::port_ranges() const {
    return kDmaPorts;
}

void Dma8237Pair::reset() {
    const MutexLock lock(mutex_);
    reset_locked();
}

void Dma8237Pair::reset_locked() {
    for (Dma8237& chip : chips_)
        chip.reset();
    pages_ = {};
}

void Dma8237Pair::set_up_cascade() {
    const MutexLock lock(mutex_);
    chips_[1].write(MODE, mode::kCascade);
    chips_[1].write(SINGLE_MASK, 0);
}

IoStatus Dma8237Pair::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    const MutexLock lock(mutex_);
    if (port >= kController2) {
        value = chips_[1].read((port - kController2) / 2U);
    } else if (port >= kPages) {
        value = pages_[port - kPages];
    } else {
        value = chips_[0].read(port);
    }
    return IoStatus::ok;
}

IoStatus Dma8237Pair::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    const auto byte = static_cast<uint8_t>(value);
    const MutexLock lock(mutex_);
    if (port >= kController2) {
        chips_[1].write((port - kController2) / 2U, byte);
    } else if (port >= kPages) {
        pages_[port - kPages] = byte;
    } else {
        chips_[0].write(port, byte);
    }
    return IoStatus::ok;
}

// The page gives A16 to A23. Channels of words drive A1 to A16, and the page's bit 0 counts for
// nothing.
Gpa Dma8237Pair::place(unsigned channel, uint16_t address) const {
    const uint64_t page = pages_[kPageOf[channel]];
    if (channel < kCascadeChannel) return Gpa{page << 16 | address};
    return Gpa{(page & ~uint64_t{1}) << 16 | uint64_t{address} << 1};
}

// Moves runs that do not wrap, by `move(place, offset, bytes, kind)`, which goes upwards. Where
// addresses descend, a run is one unit.
template <class Move>
DmaMoved Dma8237Pair::move_all(unsigned channel, size_t bytes, Move move) {
    const MutexLock lock(mutex_);
    DmaMoved moved;
    if (channel == kCascadeChannel) return moved;
    if (channel < kCascadeChannel && !chips_[1].cascades(0)) return moved;
    const uint32_t unit = channel < kCascadeChannel ? 1 : 2;
    Dma8237& chip = chip_of(channel);
    while (!moved.terminal_count && bytes - moved.bytes >= unit) {
        const auto left = static_cast<uint32_t>(std::min<size_t>(bytes - moved.bytes, 0x20000));
        Run run = chip.next(channel % 4, left / unit);
        if (run.units == 0) break;
        if (run.down) run.units = 1;
        const size_t length = size_t{run.units} * unit;
        move(place(channel, run.address), moved.bytes, length, run.kind);
        moved.bytes += length;
        moved.terminal_count = chip.advance(channel % 4, run.units);
    }
    return moved;
}

// A channel that is programmed for the other direction moves nothing, but counts. Where there is no
// RAM, bytes vanish.
DmaMoved Dma8237Pair::from_device(unsigned channel, std::span<const std::byte> bytes) {
    return move_all(channel, bytes.size(), [&](Gpa at, size_t offset, size_t length, auto kind) {
        if (kind == Run::Kind::to_memory) (void)memory_.write(at, bytes.subspan(offset, length));
    });
}

DmaMoved Dma8237Pair::to_device(unsigned channel, std::span<std::byte> bytes) {
    return move_all(channel, bytes.size(), [&](Gpa at, size_t offset, size_t length, auto kind) {
        const auto to = bytes.subspan(offset, length);
        if (kind != Run::Kind::from_memory || !memory_.read(at, to))
            std::fill(to.begin(), to.end(), std::byte{0xFF});
    });
}

void Dma8237Pair::save(StateWriter& writer) const {
    const MutexLock lock(mutex_);
    Dma8237PairStateV1 saved;
    for (size_t i = 0; i < chips_.size(); ++i)
        chips_[i].save(saved.chips[i]);
    saved.pages = pages_;
    writer.section(saved);
}

Result<void> Dma8237Pair::restore(StateReader& reader) {
    const MutexLock lock(mutex_);
    auto result = apply(reader);
    if (!result) reset_locked();
    return result;
}

Result<void> Dma8237Pair::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<Dma8237PairStateV1>());
    for (size_t i = 0; i < chips_.size(); ++i) {
        if (!chips_[i].restore(saved.chips[i])) {
            return fail(ErrorCode::invalid_data,
                        "load saved state: a register of 'dma8237' is impossible");
        }
    }
    pages_ = saved.pages;
    return {};
}

}  // namespace banyan
