#include "vmm/firmware_image.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

#include "devices/chipset/cfi_flash.hpp"
#include "host/linux/input_file.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

struct UefiFiles {
    const char* code;
    const char* variables;
};

// Debian and Ubuntu (seabios, ovmf), Fedora (edk2-ovmf), Arch (edk2-ovmf), QEMU's own.
constexpr std::array kBiosFiles{"/usr/share/seabios/bios-256k.bin",
                                "/usr/share/qemu/bios-256k.bin"};
constexpr std::array<UefiFiles, 4> kUefiFiles{{
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
}};

bool readable(const char* path) {
    return ::access(path, R_OK) == 0;
}

Result<std::string> find_bios() {
    const auto found = std::find_if(kBiosFiles.begin(), kBiosFiles.end(), readable);
    if (found != kBiosFiles.end()) return std::string(*found);
    return fail(ErrorCode::not_found,
                "start with a BIOS: SeaBIOS is not installed; install the package seabios, or give "
                "--firmware FILE");
}

Result<UefiFiles> find_uefi() {
    const auto found = std::find_if(
        kUefiFiles.begin(), kUefiFiles.end(),
        [](const UefiFiles& files) { return readable(files.code) && readable(files.variables); });
    if (found != kUefiFiles.end()) return *found;
    return fail(ErrorCode::not_found,
                "start with UEFI: OVMF is not installed; install the package ovmf, or give "
                "--firmware FILE");
}

}  // namespace

Result<std::unique_ptr<FirmwareImage>> FirmwareImage::load(const FirmwareChoice& choice) {
    auto image = std::unique_ptr<FirmwareImage>(new FirmwareImage);
    switch (choice.kind) {
        case FirmwareKind::file: TRY(image->load_rom(choice.path)); break;
        case FirmwareKind::bios: {
            TRY_ASSIGN(path, find_bios());
            TRY(image->load_rom(path));
            break;
        }
        case FirmwareKind::uefi: {
            TRY_ASSIGN(files, find_uefi());
            TRY(image->load_rom(files.code));
            TRY(image->load_variables(files.variables, choice.variables));
            break;
        }
    }
    return image;
}

std::span<std::byte> FirmwareImage::flash() const {
    if (kept_variables_ != nullptr) return kept_variables_->bytes();
    return lost_variables_ != nullptr ? lost_variables_->bytes() : std::span<std::byte>();
}

// The end of the ROM is the end of the first 4 GiB: what is missing of a page is missing in front.
Result<void> FirmwareImage::load_rom(const std::string& path) {
    TRY_ASSIGN(file, InputFile::open(path, kMaxRom, "read the firmware"));
    TRY_ASSIGN(rom, GuestRam::create(align_up(file.size(), kPageSize)));
    rom_ = std::move(rom);
    return file.read(0, rom_->bytes().last(file.size()));
}

Result<void> FirmwareImage::load_variables(const std::string& initial, const std::string& kept_in) {
    TRY_ASSIGN(file, InputFile::open(initial, kMaxRom, "read the firmware's variables"));
    const uint64_t size = align_up(file.size(), uint64_t{CfiFlash::kBlock});
    TRY_ASSIGN(bytes, GuestRam::create(size));
    TRY(file.read(0, bytes->bytes().first(file.size())));
    if (kept_in.empty()) {
        lost_variables_ = std::move(bytes);
        return {};
    }
    TRY_ASSIGN(kept, MappedFile::open_or_create(kept_in, bytes->bytes(),
                                                "keep the firmware's variables in"));
    kept_variables_ = std::move(kept);
    return {};
}

}  // namespace banyan
