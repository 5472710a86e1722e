// The shared directories of a board.
#include "devices/virtio/virtio_fs.hpp"
#include "machine/boards/board_parts.hpp"

namespace banyan {

Result<void> Board::Parts::add_shares() {
    for (const ShareConfig& share : config.shares) {
        Chip& chip = add_chip();
        shares.push_back(std::make_unique<LockedFsBackend>(*share.backend, chip.slot));
        const VirtioFsWiring wiring{services.memory, *shares.back()};
        TRY(add_virtio(chip, "virtio-fs", std::make_unique<VirtioFs>(share.tag, wiring)));
    }
    return {};
}

}  // namespace banyan
