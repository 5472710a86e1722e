#include "machine/boards/pci_slots.hpp"

#include <algorithm>

#include "machine/memory_map.hpp"

namespace banyan {

Result<void> PciSlots::add(PciHost& host, PciFunction& function, DeviceSlot& slot) {
    const auto device = static_cast<uint8_t>(next_device());
    TRY(host.add_function({device, 0}, function, slot));
    functions_.push_back(&function);
    MutexLock lock(mutex_);
    for (unsigned index = 0; index < function.bars().size(); ++index) {
        if (function.bars()[index].memory != nullptr) TRY(add_bar(function, index, slot));
    }
    return {};
}

Result<void> PciSlots::add_bar(PciFunction& function, unsigned index, DeviceSlot& slot) {
    const PciBar& bar = function.bars()[index];
    std::unique_ptr<DoorbellBar> doorbells;
    MmioIo* handler = bar.memory;
    if (doorbells_ != nullptr && bar.doorbells.count != 0) {
        TRY_ASSIGN(made, DoorbellBar::create(slot, bar, *doorbells_));
        doorbells = std::move(made);
        handler = doorbells.get();
    }
    MmioWindow& window = bus_.add(slot, *handler, bar.size);
    bars_.push_back({&function, index, &window, std::move(doorbells), {}, 0});
    return {};
}

PciSlots::Bar* PciSlots::find(const PciFunction& function, unsigned bar) {
    const auto found = std::find_if(bars_.begin(), bars_.end(), [&](const Bar& b) {
        return b.function == &function && b.index == bar;
    });
    return found == bars_.end() ? nullptr : &*found;
}

bool PciSlots::taken(Gpa start, uint64_t size) const {
    return std::any_of(bars_.begin(), bars_.end(), [&](const Bar& b) {
        return b.size != 0 && start < b.start + b.size && b.start < start + size;
    });
}

bool PciSlots::map_memory(PciFunction& function, unsigned bar, Gpa start, uint64_t size,
                          MmioIo& /*handler*/) {
    const auto windows = MemoryMap::pci_windows();
    const bool inside = std::any_of(windows.begin(), windows.end(), [&](const GpaRange& window) {
        return start >= window.start && start < window.end() && size <= window.end() - start;
    });
    MutexLock lock(mutex_);
    Bar* found = find(function, bar);
    if (!inside || found == nullptr || taken(start, size)) return false;
    found->start = start;
    found->size = size;
    found->window->map(start);
    if (found->doorbells != nullptr) found->doorbells->map(start);
    return true;
}

bool PciSlots::map_ports(PciFunction& /*function*/, unsigned /*bar*/, PortRange /*range*/,
                         PortIo& /*handler*/) {
    return false;
}

void PciSlots::unmap(PciFunction& function, unsigned bar) {
    MutexLock lock(mutex_);
    if (Bar* found = find(function, bar)) {
        found->size = 0;
        found->window->unmap();
        if (found->doorbells != nullptr) found->doorbells->unmap();
    }
}

}  // namespace banyan
