#include "devices/display/vga_memory.hpp"

#include <bit>
#include <cstring>

#include "devices/display/vga_dispi.hpp"

namespace banyan {

using namespace vga;

namespace {

struct Window {
    uint32_t start = 0;
    uint32_t size = 0;
};

// By the memory map field of the graphics controller's miscellaneous register.
constexpr Window kWindows[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};

constexpr uint32_t kEachPlane = 0x01010101;

// A byte for each plane whose bit is set.
constexpr uint32_t spread(unsigned planes) {
    uint32_t word = 0;
    for (unsigned plane = 0; plane < kPlanes; ++plane)
        word |= (planes >> plane & 1) != 0 ? 0xFFU << (8 * plane) : 0U;
    return word;
}

constexpr uint8_t plane_of(uint32_t word, unsigned plane) {
    return static_cast<uint8_t>(word >> (8 * plane));
}

}  // namespace

bool VgaMemory::chain4() const {
    return (state_.sequencer[seq::kMemoryMode] & seq::kChain4) != 0;
}

bool VgaMemory::odd_even() const {
    return (state_.sequencer[seq::kMemoryMode] & seq::kNoOddEven) == 0;
}

VgaMemory::Place VgaMemory::find_linear(uint64_t offset) const {
    const uint64_t at = uint64_t{state_.dispi[dispi::kBank]} * dispi::kBankSize + offset;
    return {offset < dispi::kBankSize && at < memory_.size(), static_cast<uint32_t>(at), 0x0F};
}

VgaMemory::Place VgaMemory::find(uint64_t offset) const {
    if (dispi_linear(state_)) return find_linear(offset);
    const Window& window = kWindows[state_.graphics[gfx::kMisc] >> 2 & 3];
    const bool open = (state_.misc & misc::kRamEnabled) != 0;
    if (!open || offset < window.start || offset - window.start >= window.size) return {};
    auto at = static_cast<uint32_t>(offset - window.start);
    uint8_t planes = 0x0F;
    if (chain4()) {
        planes = static_cast<uint8_t>(1U << (at & 3));
        at &= ~3U;
    } else if (odd_even()) {
        // Bit 0 chooses the plane. The page of the miscellaneous register, which would take its
        // place on a card with little memory, has no effect.
        planes = (at & 1) != 0 ? 0x0A : 0x05;
        at &= ~1U;
    }
    at &= kPlaneSize - 1;
    if (dispi_enabled(state_))  // four bits a pixel: banks of planes
        at += uint32_t{state_.dispi[dispi::kBank]} * dispi::kBankSize;
    return {(size_t{at} + 1) * kPlanes <= memory_.size(), at, planes};
}

uint32_t VgaMemory::load(uint32_t offset) const {
    uint32_t word = 0;
    std::memcpy(&word, memory_.data() + size_t{offset} * kPlanes, sizeof(word));
    return word;
}

void VgaMemory::store(uint32_t offset, uint32_t value, uint32_t mask) {
    const uint32_t word = (load(offset) & ~mask) | (value & mask);
    std::memcpy(memory_.data() + size_t{offset} * kPlanes, &word, sizeof(word));
}

uint8_t VgaMemory::read(uint64_t offset) {
    const Place place = find(offset);
    if (!place.inside) return 0xFF;
    if (dispi_linear(state_)) return std::to_integer<uint8_t>(memory_[place.offset]);
    state_.latch = load(place.offset);
    if (chain4())
        return plane_of(state_.latch, static_cast<unsigned>(std::countr_zero(place.planes)));
    if ((state_.graphics[gfx::kMode] & gfx::kReadMode1) != 0) return compared(state_.latch);
    unsigned plane = state_.graphics[gfx::kReadMap];
    if (odd_even()) plane = (plane & 2) | (place.planes == 0x0A ? 1U : 0U);
    return plane_of(state_.latch, plane);
}

// Read mode 1: a bit is 1 where the planes that count hold the colour.
uint8_t VgaMemory::compared(uint32_t word) const {
    const uint32_t different = (word ^ spread(state_.graphics[gfx::kColourCompare])) &
                               spread(state_.graphics[gfx::kColourDontCare]);
    return static_cast<uint8_t>(~(different | different >> 8 | different >> 16 | different >> 24));
}

void VgaMemory::write(uint64_t offset, uint8_t value) {
    const Place place = find(offset);
    if (!place.inside) return;
    if (dispi_linear(state_)) {
        memory_[place.offset] = std::byte{value};
        return;
    }
    const unsigned planes = state_.sequencer[seq::kMapMask] & place.planes;
    store(place.offset, written_word(value), spread(planes));
}

// The write modes (FreeVGA, "Graphics mode register").
uint32_t VgaMemory::written_word(uint8_t value) const {
    const auto& regs = state_.graphics;
    const uint8_t rotated = std::rotr(value, regs[gfx::kRotate] & 7);
    uint32_t mask = regs[gfx::kBitMask] * kEachPlane;
    uint32_t word = 0;
    switch (regs[gfx::kMode] & 3) {
        case 0: {
            const uint32_t set = spread(regs[gfx::kEnableSetReset]);
            word = (rotated * kEachPlane & ~set) | (spread(regs[gfx::kSetReset]) & set);
            break;
        }
        case 1: return state_.latch;
        case 2: word = spread(value & 0x0F); break;
        default:
            word = spread(regs[gfx::kSetReset]);
            mask &= rotated * kEachPlane;
            break;
    }
    switch (regs[gfx::kRotate] >> 3) {
        case 1: word &= state_.latch; break;
        case 2: word |= state_.latch; break;
        case 3: word ^= state_.latch; break;
        default: break;
    }
    return (word & mask) | (state_.latch & ~mask);
}

}  // namespace banyan
