// The network cards of a board.
#include <cstdio>
#include <string>

#include "devices/net/e1000e.hpp"
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
    return net.model == NetModel::e1000e ? add_e1000e(net, chip, address)
                                         : add_virtio_net(net, chip);
}

Result<void> Board::Parts::add_virtio_net(const NetConfig& net, Chip& chip) {
    auto card = make_virtio_net(net, *nets.back());
    net_statistics.push_back(&card->statistics());
    return add_virtio(chip, "virtio-net", std::move(card));
}

std::unique_ptr<VirtioNet> Board::Parts::make_virtio_net(const NetConfig& net,
                                                         NetBackend& backend) const {
    return std::make_unique<VirtioNet>(
        VirtioNetConfig{.mac = net.mac, .mtu = net.mtu, .queue_pairs = net.queue_pairs},
        VirtioNetWiring{services.memory, backend});
}

Result<void> Board::Parts::add_e1000e(const NetConfig& net, Chip& chip, PciAddress address) {
    if (config.kind == BoardKind::micro) {
        return fail(
            ErrorCode::invalid_argument,
            "add a network card: e1000e has ports, for which this machine has no place; use "
            "--machine pc or a virtio card");
    }
    const std::string key = "e1000e@" + std::to_string(address.device);
    auto& card = chip.make<E1000e>(key, net.mac,
                                   E1000e::Wiring{.memory = services.memory,
                                                  .mapper = pci,
                                                  .intx = intx(address),
                                                  .msi = msi(),
                                                  .network = *nets.back()});
    net_statistics.push_back(&card.statistics());
    return pci.add(*pci_host, address, card, chip.slot);
}

}  // namespace banyan
