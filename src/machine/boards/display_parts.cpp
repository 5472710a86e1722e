// What people look at and type on: the VGA and the i8042.
#include "devices/chipset/i8042.hpp"
#include "devices/display/vga.hpp"
#include "machine/boards/board_parts.hpp"

namespace banyan {

void Board::Parts::make_keyboard() {
    constexpr unsigned kKeyboardIrq = 1;
    constexpr unsigned kMouseIrq = 12;
    Chip& chip = add_chip();
    auto& controller =
        chip.make<I8042>("i8042", I8042::Wiring{irq(kKeyboardIrq), irq(kMouseIrq), services.control,
                                                services.clock, chip.timers});
    ports.add_device(chip.slot);
    human_input = std::make_unique<LockedInput>(chip.slot, controller);
}

Result<void> Board::Parts::add_vga() {
    TRY_ASSIGN(address, free_pci_address());
    Chip& chip = add_chip();
    vga = &chip.make<Vga>("vga", Vga::Wiring{.pci = {.mapper = pci, .intx = {}},
                                             .clock = services.clock,
                                             .memory = config.vga->memory,
                                             .rom = config.vga->rom});
    vga_slot = &chip.slot;
    ports.add_device(chip.slot);
    mmio.add(chip.slot, vga->window(), Vga::kWindowSize).map(MemoryMap::kVgaHole.start);
    display = std::make_unique<LockedDisplay>(chip.slot, *vga);
    return pci.add(*pci_host, address, *vga, chip.slot);
}

}  // namespace banyan
