// MemoryMap: where RAM, chips and PCI windows lie in the guest's physical address space, for a size
// of RAM.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "loader/e820.hpp"
#include "support/result.hpp"
#include "vm/address.hpp"

namespace banyan {

struct GpaRange {
    Gpa start;
    uint64_t length = 0;

    constexpr Gpa end() const { return start + length; }
    friend bool operator==(const GpaRange&, const GpaRange&) = default;
};

// compact: RAM up to the PCI windows, for boards whose chips stay where they are. pc: room for what
// PC firmware places below 4 GiB, and shadow memory below 1 MiB.
enum class MemoryLayout : uint8_t { compact, pc };

class MemoryMap {
public:
    static constexpr uint64_t kMinRam = 2ULL << 20;
    static constexpr uint64_t kMaxRam = 512ULL << 30;  // all of it below 2^40: the narrowest CPU

    static constexpr GpaRange kVgaHole{{0xA0000}, 0x20000};
    static constexpr GpaRange kEbda{{0x9FC00}, 0x400};
    static constexpr GpaRange kAcpiTables{{0xE0000}, 0x10000};
    static constexpr GpaRange kBiosArea{{0xF0000}, 0x10000};
    static constexpr GpaRange kShadow{{0xC0000}, 0x40000};  // of the layout pc
    static constexpr uint64_t kMaxLowRam = 0xC0000000;
    // SeaBIOS puts configuration space at B0000000h, OVMF at E0000000h or there.
    static constexpr uint64_t kMaxLowRamOfPc = 0x80000000;
    static constexpr GpaRange kEcam{{0xE0000000}, 1ULL << 20};  // one bus
    static constexpr GpaRange kIoApic{{0xFEC00000}, 0x1000};
    static constexpr GpaRange kHpet{{0xFED00000}, 0x400};
    static constexpr GpaRange kLocalApic{{0xFEE00000}, 0x1000};
    static constexpr Gpa kHighRam{1ULL << 32};

    // RAM of this size in all; what the VGA hole covers is lost, as on a PC. A multiple of 1 MiB.
    static Result<MemoryMap> create(uint64_t ram_size, MemoryLayout layout);

    // To be added to GuestMemory as MemoryKind::ram. Shadow memory is not among it.
    const std::vector<GpaRange>& ram() const { return ram_; }
    Gpa low_ram_end() const { return low_ram_end_; }
    Gpa high_ram_end() const { return high_ram_end_; }  // kHighRam without any
    const std::vector<E820Entry>& e820() const { return e820_; }
    // Free for PCI memory BARs below 4 GiB while configuration space is at kEcam, in order.
    static std::span<const GpaRange> pci_windows();

private:
    Gpa low_ram_end_;
    Gpa high_ram_end_;
    std::vector<GpaRange> ram_;
    std::vector<E820Entry> e820_;
};

}  // namespace banyan
