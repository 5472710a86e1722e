#include "machine/boards/pci_slots.hpp"

#include <algorithm>
#include <array>

namespace banyan {

std::optional<uint8_t> PciSlots::free_device() const {
    for (uint8_t device = 0; device < kMaxDevices; ++device) {
        const bool used = std::any_of(functions_.begin(), functions_.end(), [&](const Function& f) {
            return f.address.device == device;
        });
        if (!used) return device;
    }
    return std::nullopt;
}

unsigned PciSlots::device_count() const {
    unsigned count = 0;
    for (const Function& f : functions_)
        count = std::max(count, f.address.device + 1U);
    return count;
}

Result<void> PciSlots::add(PciHost& host, PciAddress address, PciFunction& function,
                           DeviceSlot& slot) {
    TRY(host.add_function(address, function, slot));
    functions_.push_back({&function, address});
    for (unsigned index = 0; index < function.bars().size(); ++index)
        TRY(add_bar(function, index, slot));
    return {};
}

Result<void> PciSlots::add_bar(PciFunction& function, unsigned index, DeviceSlot& slot) {
    const PciBar& what = function.bars()[index];
    Bar bar{.function = &function, .index = index};
    if (what.memory != nullptr) {
        bar.mmio = &buses_.mmio.add(slot, *what.memory, what.size);
    } else if (what.ports != nullptr) {
        bar.ports =
            &buses_.ports.add_window(slot, *what.ports, {0, static_cast<uint16_t>(what.size)});
    } else if (!what.ram.empty()) {
        TRY_ASSIGN(window, buses_.memory.add_window(what.ram, 1));
        bar.ram = window;
    } else {
        return {};
    }
    MutexLock lock(mutex_);
    bars_.push_back(bar);
    return {};
}

PciSlots::Bar* PciSlots::find(const PciFunction& function, unsigned bar) {
    const auto found = std::find_if(bars_.begin(), bars_.end(), [&](const Bar& b) {
        return b.function == &function && b.index == bar;
    });
    return found == bars_.end() ? nullptr : &*found;
}

bool PciSlots::taken(const Bar& bar, uint64_t start, uint64_t size) const {
    return std::any_of(bars_.begin(), bars_.end(), [&](const Bar& b) {
        const bool same_space = (b.ports != nullptr) == (bar.ports != nullptr);
        return same_space && b.size != 0 && start < b.start + b.size && b.start < start + size;
    });
}

bool PciSlots::in_a_window(Gpa start, uint64_t size) const {
    return std::any_of(windows_.begin(), windows_.end(), [&](const GpaRange& window) {
        return start >= window.start && start < window.end() && size <= window.end() - start;
    });
}

PciSlots::Bar* PciSlots::place(const PciFunction& function, unsigned bar, uint64_t start,
                               uint64_t size) {
    Bar* found = find(function, bar);
    if (found == nullptr || taken(*found, start, size)) return nullptr;
    found->start = start;
    found->size = size;
    return found;
}

bool PciSlots::map_memory(PciFunction& function, unsigned bar, Gpa start, uint64_t size,
                          MmioIo& /*handler*/) {
    if (!in_a_window(start, size)) return false;
    MutexLock lock(mutex_);
    const Bar* placed = place(function, bar, start.value, size);
    if (placed == nullptr) return false;
    placed->mmio->map(start);
    return true;
}

bool PciSlots::map_ram(PciFunction& function, unsigned bar, Gpa start) {
    const uint64_t size = function.bars()[bar].ram.size();
    if (!in_a_window(start, size)) return false;
    MutexLock lock(mutex_);
    const Bar* placed = place(function, bar, start.value, size);
    if (placed == nullptr) return false;
    buses_.memory.place_window(*placed->ram,
                               std::array{WindowPlace{start, 0, size, MemoryKind::ram}});
    return true;
}

bool PciSlots::map_ports(PciFunction& function, unsigned bar, PortRange range,
                         PortIo& /*handler*/) {
    MutexLock lock(mutex_);
    const Bar* placed = place(function, bar, range.first, range.count);
    return placed != nullptr && placed->ports->map(range.first);
}

void PciSlots::unmap(PciFunction& function, unsigned bar) {
    MutexLock lock(mutex_);
    Bar* found = find(function, bar);
    if (found == nullptr) return;
    found->size = 0;
    if (found->mmio != nullptr) found->mmio->unmap();
    if (found->ports != nullptr) found->ports->unmap();
    if (found->ram) buses_.memory.place_window(*found->ram, {});
}

}  // namespace banyan
