// What firmware learns of a pc board: the items of fw_cfg, and the bytes of CMOS memory that a
// set-up program would have left (QEMU's docs/specs/fw_cfg, and what SeaBIOS and OVMF read).
#pragma once

#include "devices/chipset/fw_cfg.hpp"
#include "machine/boards/board.hpp"

namespace banyan {

// The ACPI tables, which say where firmware has put things, and so are made when they are read.
class FirmwareTables final : public FwCfgSource {
public:
    explicit FirmwareTables(const Board::Parts& parts) : parts_(parts) {}
    void refresh(std::span<std::byte> bytes) override;

private:
    const Board::Parts& parts_;
};

// When all chips are there.
Result<void> configure_firmware(Board::Parts& parts);

}  // namespace banyan
