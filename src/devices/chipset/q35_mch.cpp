#include "devices/chipset/q35_mch.hpp"

#include "support/bits.hpp"

namespace banyan {

namespace {

// Firmware knows the chipset by these, and the machine by the subsystem.
constexpr PciIdentity kIdentity{
    .vendor = 0x8086,
    .device = 0x29C0,
    .subsystem_vendor = 0x1AF4,
    .subsystem = 0x1100,
    .class_code = 0x060000,
    .revision = 0,
};

// 5.1.3 "PCICMD": memory and bus mastering are always on.
constexpr uint16_t kCommand = 0x04;
constexpr uint16_t kAlwaysOn = 0x0006;
constexpr uint16_t kCommandWritable = 0x0100;
// 5.1.17 "PCIEXBAR": enable, length (256, 128 or 64 MiB), base.
constexpr uint16_t kPciExBar = 0x60;
constexpr uint32_t kEcamEnable = 1;
constexpr uint32_t kEcamWritable = 0xFC000007;
constexpr uint32_t kEcamHighWritable = 0xF;
constexpr unsigned kEcamShortest = 2;  // of the lengths; 3 is reserved

// 5.1.21 "PAM0" and following: two parts a register, low and high nibble; PAM0 has only the high.
constexpr uint16_t kPam0 = 0x90;
constexpr unsigned kPamRegisters = 7;
constexpr uint8_t kPamRead = 1;
constexpr uint8_t kPamWrite = 2;
constexpr uint8_t kPamBits = kPamRead | kPamWrite;

// 5.1.29 "SMRAM" and 5.1.30 "ESMRAMC".
constexpr uint16_t kSmram = 0x9D;
constexpr uint8_t kSmramOpen = 0x40;
constexpr uint8_t kSmramClosed = 0x20;
constexpr uint8_t kSmramLock = 0x10;
constexpr uint8_t kSmramEnable = 0x08;
constexpr uint8_t kSmramWritable = kSmramOpen | kSmramClosed | kSmramLock | kSmramEnable;
constexpr uint8_t kSmramBase = 0x02;  // A0000h, fixed
constexpr uint16_t kEsmramc = 0x9E;
constexpr uint8_t kEsmramcFixed = 0x38;
constexpr uint8_t kEsmramcWritable = 0x87;

}  // namespace

Q35Mch::Q35Mch(const Wiring& wiring) : PciFunction(kIdentity, wiring.pci), space_(wiring.space) {
    declare_register(kCommand, kAlwaysOn, 2, kCommandWritable);
    declare_register(kPciExBar, 0, 4, kEcamWritable);
    declare_register(kPciExBar + 4, 0, 4, kEcamHighWritable);
    declare_register(kPam0, 0, 1, kPamBits << 4);
    for (uint16_t i = 1; i < kPamRegisters; ++i)
        declare_register(static_cast<uint16_t>(kPam0 + i), 0, 1, kPamBits << 4 | kPamBits);
    declare_register(kSmram, kSmramBase, 1, kSmramWritable);
    declare_register(kEsmramc, kEsmramcFixed, 1, kEsmramcWritable);
    reset_config();
}

void Q35Mch::set_ecam(Gpa base) {
    config_write(kPciExBar + 4, 4, static_cast<uint32_t>(base.value >> 32));
    config_write(kPciExBar, 4, static_cast<uint32_t>(base.value) | kEcamEnable);
}

void Q35Mch::open_shadow() {
    for (uint16_t i = 0; i < kPamRegisters; ++i)
        config_write(static_cast<uint16_t>(kPam0 + i), 1, kPamBits << 4 | kPamBits);
}

void Q35Mch::reset() {
    set_writable(kSmram, kSmramWritable);
    set_writable(kEsmramc, kEsmramcWritable);
    reset_config();
    apply();
}

Result<void> Q35Mch::restore(StateReader& reader) {
    reset();
    auto restored = restore_config(reader);
    lock_smram();
    apply();
    return restored;
}

void Q35Mch::on_config_written(uint16_t offset, unsigned size) {
    if (pci::touches(offset, size, kSmram, 2)) lock_smram();
    if (pci::touches(offset, size, kPciExBar, 8) ||
        pci::touches(offset, size, kPam0, kPamRegisters))
        apply();
}

// Once locked, both registers are read only until reset, and SMRAM is shut.
void Q35Mch::lock_smram() {
    const auto smram = config_value<uint8_t>(kSmram);
    if ((smram & kSmramLock) == 0) return;
    const uint8_t shut = smram & static_cast<uint8_t>(~kSmramOpen);
    set_config_bytes(kSmram, std::span(&shut, 1));
    set_writable(kSmram, 0);
    set_writable(kEsmramc, 0);
}

std::optional<Gpa> Q35Mch::ecam() const {
    const auto low = config_value<uint32_t>(kPciExBar);
    const unsigned length = bits(low, 2, 1);
    if ((low & kEcamEnable) == 0 || length > kEcamShortest) return std::nullopt;
    const uint64_t size = (256ULL << 20) >> length;
    const uint64_t address = uint64_t{config_value<uint32_t>(kPciExBar + 4)} << 32 | low;
    return Gpa{address & ~(size - 1)};
}

Q35Mch::Shadow Q35Mch::shadow() const {
    const auto access = [](unsigned nibble) {
        return ShadowAccess{(nibble & kPamRead) != 0, (nibble & kPamWrite) != 0};
    };
    Shadow shadow;
    for (uint16_t i = 1; i < kPamRegisters; ++i) {
        const auto pam = config_value<uint8_t>(static_cast<uint16_t>(kPam0 + i));
        shadow[2U * i - 2] = access(pam);
        shadow[2U * i - 1] = access(pam >> 4U);
    }
    shadow[kSegments - 1] = access(config_value<uint8_t>(kPam0) >> 4U);
    return shadow;
}

void Q35Mch::apply() {
    space_.map_ecam(ecam());
    space_.set_shadow(shadow());
}

}  // namespace banyan
