// FirmwareImage: what a pc starts with: the firmware's ROM, and the flash for its variables.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "host/linux/guest_ram.hpp"
#include "host/linux/mapped_file.hpp"
#include "support/result.hpp"
#include "vmm/vm_config.hpp"

namespace banyan {

class FirmwareImage {
public:
    static constexpr uint64_t kMaxRom = 16U << 20;

    // Finds SeaBIOS and OVMF where distributions have them.
    static Result<std::unique_ptr<FirmwareImage>> load(const FirmwareChoice& choice);

    std::span<std::byte> rom() const { return rom_->bytes(); }
    std::span<std::byte> flash() const;

private:
    FirmwareImage() = default;
    Result<void> load_rom(const std::string& path);
    Result<void> load_variables(const std::string& initial, const std::string& kept_in);

    std::unique_ptr<GuestRam> rom_;
    std::unique_ptr<GuestRam> lost_variables_;  // one of these, or none
    std::unique_ptr<MappedFile> kept_variables_;
};

}  // namespace banyan
