// ShadowMemory: what the pc board shows from C0000h to FFFFFh and under 4 GiB. There are 256 KiB of
// RAM, and the end of the firmware's ROM from E0000h on; the host bridge's PAM registers say, for
// each part, which of them reads and writes reach.
#pragma once

#include <cstddef>
#include <span>

#include "devices/chipset/q35_mch.hpp"
#include "machine/memory_map.hpp"
#include "support/result.hpp"
#include "vm/device.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

class ShadowMemory final : public MmioIo {
public:
    explicit ShadowMemory(GuestMemory& memory) : memory_(memory) {}

    // While the board is built. `ram` is as large as MemoryMap::kShadow; `rom`, the firmware, may
    // be empty, and is a multiple of 4 KiB.
    Result<void> create(std::span<std::byte> ram, std::span<std::byte> rom);

    void set(const Q35Mch::Shadow& shadow);

    // What reaches no memory: writes to RAM that reads do not see.
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

private:
    static constexpr unsigned kSegments = Q35Mch::kSegments;

    void place_ram(const Q35Mch::Shadow& shadow);
    void place_rom(const Q35Mch::Shadow& shadow);

    GuestMemory& memory_;
    std::span<std::byte> ram_;
    std::span<std::byte> rom_;
    GuestMemory::WindowId ram_window_ = 0;
    GuestMemory::WindowId rom_window_ = 0;
    Q35Mch::Shadow shadow_;
};

}  // namespace banyan
