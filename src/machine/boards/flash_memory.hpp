// FlashMemory: where the bytes of the firmware's flash are seen.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "devices/chipset/cfi_flash.hpp"
#include "support/result.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

class FlashMemory final : public CfiFlash::Bytes {
public:
    static Result<std::unique_ptr<FlashMemory>> create(GuestMemory& memory, Gpa start,
                                                       std::span<std::byte> bytes);

    void show(bool readable) override;
    void changed(uint64_t offset, uint64_t length) override;

private:
    FlashMemory(GuestMemory& memory, const WindowPlace& place, GuestMemory::WindowId window)
        : memory_(memory), place_(place), window_(window) {}

    GuestMemory& memory_;
    const WindowPlace place_;
    const GuestMemory::WindowId window_;
};

}  // namespace banyan
