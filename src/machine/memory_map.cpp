#include "machine/memory_map.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "support/bits.hpp"

namespace banyan {

namespace {

constexpr uint64_t kMiB = 1ULL << 20;
constexpr Gpa kAboveBios{kMiB};

// Between low RAM and the fixed chips, around the configuration space of PCI.
constexpr std::array kPciWindows{
    GpaRange{{MemoryMap::kMaxLowRam}, MemoryMap::kEcam.start.value - MemoryMap::kMaxLowRam},
    GpaRange{MemoryMap::kEcam.end(), MemoryMap::kIoApic.start - MemoryMap::kEcam.end()},
};

Result<void> check_size(uint64_t ram_size) {
    char text[Error::kMaxText];
    if (ram_size < MemoryMap::kMinRam || ram_size > MemoryMap::kMaxRam) {
        std::snprintf(text, sizeof(text),
                      "memory of %llu bytes: a machine has between 2M and 512G; give --memory a "
                      "size in that range",
                      static_cast<unsigned long long>(ram_size));
        return fail(ErrorCode::invalid_argument, text);
    }
    if (!is_aligned(ram_size, kMiB)) {
        std::snprintf(text, sizeof(text),
                      "memory of %llu bytes: the size must be a multiple of 1M; round it, for "
                      "example to %lluM",
                      static_cast<unsigned long long>(ram_size),
                      static_cast<unsigned long long>(align_up(ram_size, kMiB) / kMiB));
        return fail(ErrorCode::invalid_argument, text);
    }
    return {};
}

}  // namespace

std::span<const GpaRange> MemoryMap::pci_windows() {
    return kPciWindows;
}

Result<MemoryMap> MemoryMap::create(uint64_t ram_size, MemoryLayout layout) {
    TRY(check_size(ram_size));
    MemoryMap map;
    const bool pc = layout == MemoryLayout::pc;
    const uint64_t most = pc ? kMaxLowRamOfPc : kMaxLowRam;
    const Gpa low_end{std::min(ram_size, most)};
    const Gpa second = pc ? kShadow.end() : kVgaHole.end();
    map.low_ram_end_ = low_end;
    map.high_ram_end_ = kHighRam;
    map.ram_ = {{{0}, kVgaHole.start.value}, {second, low_end - second}};
    // The area from 0xC0000 to 0xE0000 holds option ROMs on a PC: RAM, but not offered for use.
    map.e820_ = {
        {{0}, kEbda.start.value, E820Type::ram},
        {kEbda.start, kEbda.length, E820Type::reserved},
        {kAcpiTables.start, kAcpiTables.length, E820Type::acpi},
        {kBiosArea.start, kBiosArea.length, E820Type::reserved},
        {kAboveBios, low_end - kAboveBios, E820Type::ram},
        // Linux uses the configuration space only where it is reserved here or by ACPI.
        {kEcam.start, kEcam.length, E820Type::reserved},
    };
    if (ram_size > most) {
        const uint64_t rest = ram_size - most;
        map.high_ram_end_ = kHighRam + rest;
        map.ram_.push_back({kHighRam, rest});
        map.e820_.push_back({kHighRam, rest, E820Type::ram});
    }
    return map;
}

}  // namespace banyan
