// HotplugPlace: a place on the PCI bus that devices come to and go from while the guest runs.
#pragma once

#include <atomic>
#include <memory>

#include "devices/pci/pci_bus.hpp"
#include "machine/boards/chip.hpp"
#include "machine/locked_net.hpp"
#include "vm/irq.hpp"

namespace banyan {

class VirtioBlk;

struct HotplugPlace {
    // ejected: the guest has let go of the device and does not reach it any more, but it is still
    // there, because only the thread that plugs may destroy it.
    enum class State : uint8_t { empty, in_use, ejected };

    HotplugPlace(TimerService& host, PciAddress where, IrqLine wire)
        : address(where), intx(wire), chip(host) {}

    const PciAddress address;
    const IrqLine intx;
    // From empty and to empty on the thread that plugs; to ejected with the chip's lock held.
    std::atomic<State> state{State::empty};

    // One of them, while the place is not empty. They go after the device.
    std::unique_ptr<LockedBlockBackend> disk;
    std::unique_ptr<LockedNetBackend> net;
    Chip chip;  // without a device while the place is empty
    // Of a disk: what the board was given, and what serves it.
    const BlockBackend* disk_backend = nullptr;
    VirtioBlk* blk = nullptr;
};

}  // namespace banyan
