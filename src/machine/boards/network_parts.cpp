// The network cards of a board.
#include <cstdio>

#include "devices/virtio/virtio_net.hpp"
#include "machine/boards/board_parts.hpp"

namespace banyan {

Result<void> Board::Parts::add_nets() {
    for (const NetConfig& net : config.nets)
        TRY(add_net(net));
    return {};
}

Result<void> Board::Parts::add_net(const NetConfig& net) {
    TRY_ASSIGN(address, free_pci_address());
    // Only if that is asked for: firmware takes its time to find that no server answers.
    if (config.firmware.boot_first == BootKind::network) {
        char path[64];
        std::snprintf(path, sizeof(path), "/pci@i0cf8/ethernet@%x/ethernet-phy@0", address.device);
        boot_entries.push_back({BootKind::network, path});
    }
    Chip& chip = add_chip();
    nets.push_back(std::make_unique<LockedNetBackend>(*net.backend, chip.slot));
    auto card = std::make_unique<VirtioNet>(
        VirtioNetConfig{.mac = net.mac, .mtu = net.mtu, .queue_pairs = net.queue_pairs},
        VirtioNetWiring{services.memory, *nets.back()});
    net_statistics.push_back(&card->statistics());
    return add_virtio(chip, "virtio-net", std::move(card));
}

}  // namespace banyan
