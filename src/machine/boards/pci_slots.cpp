#include "machine/boards/pci_slots.hpp"

#include <algorithm>
#include <array>

#include "support/assert.hpp"

namespace banyan {

bool PciSlots::used(uint8_t device) const {
    const auto here = [&](const auto& one) { return one->address.device == device; };
    if (std::any_of(places_.begin(), places_.end(), here)) return true;
    MutexLock lock(mutex_);
    return std::any_of(functions_.begin(), functions_.end(),
                       [&](const Function& f) { return f.address.device == device; });
}

std::optional<uint8_t> PciSlots::free_device() const {
    for (uint8_t device = 0; device < kMaxDevices; ++device) {
        if (!used(device)) return device;
    }
    return std::nullopt;
}

std::optional<uint8_t> PciSlots::last_free_device() const {
    for (uint8_t device = kMaxDevices; device-- > 0;) {
        if (!used(device)) return device;
    }
    return std::nullopt;
}

unsigned PciSlots::device_count() const {
    unsigned count = kMaxDevices;
    while (count > 0 && !used(static_cast<uint8_t>(count - 1)))
        --count;
    return count;
}

Result<void> PciSlots::add(PciHost& host, PciAddress address, PciFunction& function,
                           DeviceSlot& slot) {
    TRY(host.add_function(address, function, slot));
    {
        MutexLock lock(mutex_);
        functions_.push_back({&function, address});
    }
    for (unsigned index = 0; index < function.bars().size(); ++index)
        TRY(add_bar(function, index, slot));
    return {};
}

void PciSlots::add_place(PciAddress address, DeviceSlot& slot, std::span<const BarShape> bars) {
    auto place = std::make_unique<Place>(Place{address, slot, {}});
    for (const BarShape& shape : bars) {
        auto bar = std::make_unique<PlaceBar>();
        bar->shape = shape;
        bar->window = &buses_.mmio.add(slot, bar->handler, shape.size);
        place->bars.push_back(std::move(bar));
    }
    places_.push_back(std::move(place));
}

PciSlots::Place& PciSlots::place_at(PciAddress address) {
    const auto found = std::find_if(places_.begin(), places_.end(),
                                    [&](const auto& one) { return one->address == address; });
    BANYAN_ASSERT(found != places_.end());
    return **found;
}

Result<void> PciSlots::make_doorbells(Place& place, const PciFunction& function) {
    if (buses_.doorbells == nullptr) return {};
    for (const auto& bar : place.bars) {
        const PciBar& what = function.bars()[bar->shape.index];
        if (what.doorbells.count == 0) continue;
        TRY_ASSIGN(made, DoorbellBar::create(place.slot, what, *buses_.doorbells));
        bar->doorbells = std::move(made);
    }
    return {};
}

Result<void> PciSlots::connect(PciAddress address, PciFunction& function) {
    Place& place = place_at(address);
    BANYAN_ASSERT(place.function == nullptr);
    TRY(make_doorbells(place, function));
    SlotLock slot_lock(place.slot);
    place.function = &function;
    MutexLock lock(mutex_);
    functions_.push_back({&function, address});
    for (const auto& bar : place.bars) {
        const PciBar& what = function.bars()[bar->shape.index];
        BANYAN_ASSERT(what.memory != nullptr && what.size == bar->shape.size);
        MmioIo* const behind = bar->doorbells != nullptr ? bar->doorbells.get() : what.memory;
        bar->handler.connect(behind);
        bars_.push_back({.function = &function,
                         .index = bar->shape.index,
                         .mmio = bar->window,
                         .doorbells = bar->doorbells.get()});
    }
    return {};
}

void PciSlots::disconnect(PciAddress address) {
    Place& place = place_at(address);
    const PciFunction* const function = place.function;
    place.function = nullptr;
    for (const auto& bar : place.bars)
        bar->handler.connect(nullptr);
    MutexLock lock(mutex_);
    std::erase_if(functions_, [&](const Function& f) { return f.function == function; });
    std::erase_if(bars_, [&](const Bar& bar) { return bar.function == function; });
}

void PciSlots::release(PciAddress address) {
    for (const auto& bar : place_at(address).bars)
        bar->doorbells.reset();
}

Result<void> PciSlots::add_bar(PciFunction& function, unsigned index, DeviceSlot& slot) {
    const PciBar& what = function.bars()[index];
    Bar bar{.function = &function, .index = index};
    if (what.memory != nullptr) {
        TRY(add_memory(bar, what, slot));
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

Result<void> PciSlots::add_memory(Bar& bar, const PciBar& what, DeviceSlot& slot) {
    MmioIo* handler = what.memory;
    if (buses_.doorbells != nullptr && what.doorbells.count != 0) {
        TRY_ASSIGN(made, DoorbellBar::create(slot, what, *buses_.doorbells));
        bar.doorbells = made.get();
        handler = made.get();
        doorbells_.push_back(std::move(made));
    }
    bar.mmio = &buses_.mmio.add(slot, *handler, what.size);
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
    if (placed->doorbells != nullptr) placed->doorbells->map(start);
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
    if (found->doorbells != nullptr) found->doorbells->unmap();
    if (found->ports != nullptr) found->ports->unmap();
    if (found->ram) buses_.memory.place_window(*found->ram, {});
}

}  // namespace banyan
