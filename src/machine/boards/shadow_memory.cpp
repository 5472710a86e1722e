#include "machine/boards/shadow_memory.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace banyan {

namespace {

constexpr uint64_t kSegment = 16 << 10;
constexpr uint64_t kLastSegment = 64 << 10;
constexpr Gpa kFourGib{uint64_t{1} << 32};
// Of the firmware's end: what is seen below 1 MiB.
constexpr uint64_t kLowRom = 128 << 10;

// Of a segment, within the area.
constexpr uint64_t start_of(unsigned segment) {
    return segment * kSegment;
}
constexpr uint64_t size_of(unsigned segment) {
    return segment == Q35Mch::kSegments - 1 ? kLastSegment : kSegment;
}

// Segments in a row that are alike become one place, so that devices find memory in one piece.
template <class Place>
void append(Place& places, size_t& count, const WindowPlace& next) {
    if (count != 0) {
        WindowPlace& last = places[count - 1];
        const bool joins = last.start + last.size == next.start &&
                           last.offset + last.size == next.offset && last.kind == next.kind;
        if (joins) {
            last.size += next.size;
            return;
        }
    }
    places[count++] = next;
}

}  // namespace

Result<void> ShadowMemory::create(std::span<std::byte> ram, std::span<std::byte> rom) {
    ram_ = ram;
    rom_ = rom;
    TRY_ASSIGN(ram_window, memory_.add_window(ram, kSegments));
    ram_window_ = ram_window;
    if (!rom.empty()) {
        TRY_ASSIGN(rom_window, memory_.add_window(rom, kSegments + 1));
        rom_window_ = rom_window;
    }
    set({});
    return {};
}

// The windows are changed one after the other: a vCPU that looks meanwhile may find nothing, or the
// RAM, which was added first.
void ShadowMemory::set(const Q35Mch::Shadow& shadow) {
    shadow_ = shadow;
    place_ram(shadow);
    if (!rom_.empty()) place_rom(shadow);
}

void ShadowMemory::place_ram(const Q35Mch::Shadow& shadow) {
    std::array<WindowPlace, kSegments> places;
    size_t count = 0;
    for (unsigned i = 0; i < kSegments; ++i) {
        if (!shadow[i].read) continue;
        append(places, count,
               {MemoryMap::kShadow.start + start_of(i), start_of(i), size_of(i),
                shadow[i].write ? MemoryKind::ram : MemoryKind::rom});
    }
    memory_.place_window(ram_window_, std::span(places).first(count));
}

void ShadowMemory::place_rom(const Q35Mch::Shadow& shadow) {
    const uint64_t low = std::min<uint64_t>(rom_.size(), kLowRom);
    const uint64_t from = MemoryMap::kShadow.length - low;  // within the area
    std::array<WindowPlace, kSegments + 1> places;
    size_t count = 0;
    append(places, count, {Gpa{kFourGib.value - rom_.size()}, 0, rom_.size(), MemoryKind::rom});
    for (unsigned i = 0; i < kSegments; ++i) {
        const uint64_t start = std::max(start_of(i), from);
        const uint64_t end = start_of(i) + size_of(i);
        if (shadow[i].read || start >= end) continue;
        append(places, count,
               {MemoryMap::kShadow.start + start, rom_.size() - low + (start - from), end - start,
                MemoryKind::rom});
    }
    memory_.place_window(rom_window_, std::span(places).first(count));
}

IoStatus ShadowMemory::mmio_read(uint64_t /*offset*/, unsigned /*size*/, uint64_t& /*value*/) {
    return IoStatus::no_register;
}

IoStatus ShadowMemory::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    const unsigned segment =
        static_cast<unsigned>(std::min<uint64_t>(offset / kSegment, kSegments - 1));
    if (offset + size > ram_.size() || !shadow_[segment].write) return IoStatus::ok;
    std::memcpy(ram_.data() + offset, &value, size);
    return IoStatus::ok;
}

}  // namespace banyan
