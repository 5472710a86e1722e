#include "machine/io_bus.hpp"

#include <algorithm>

#include "support/assert.hpp"
#include "support/bits.hpp"
#include "support/log.hpp"

namespace banyan {

void PortBus::add(DeviceSlot& slot, PortIo& io, PortRange range) {
    BANYAN_ASSERT(range.count != 0 && range.first + range.count <= 0x10000);
    BANYAN_ASSERT(entries_.size() < 255);
    entries_.push_back({&slot, &io, range});
    const auto number = static_cast<uint8_t>(entries_.size());
    std::fill_n(entry_at_.begin() + range.first, range.count, number);
}

void PortBus::add_device(DeviceSlot& slot) {
    Device& device = *slot.device();
    BANYAN_ASSERT(device.pio() != nullptr);
    for (const PortRange& range : device.port_ranges())
        add(slot, *device.pio(), range);
}

bool PortWindow::map(uint16_t first) {
    unmap();
    if (first + native_.count > 0x10000) return false;
    first_.store(first, std::memory_order_release);
    return true;
}

PortWindow& PortBus::add_window(DeviceSlot& slot, PortIo& io, PortRange native) {
    BANYAN_ASSERT(native.count != 0);
    windows_.push_back(std::make_unique<PortWindow>(slot, io, native));
    return *windows_.back();
}

PortBus::Hit PortBus::find(uint16_t port) const {
    const uint8_t number = entry_at_[port];
    if (number == 0) return find_in_windows(port);
    const Entry& entry = entries_[number - 1U];
    return {entry.slot, entry.io, port,
            static_cast<unsigned>(entry.range.first) + entry.range.count - port};
}

PortBus::Hit PortBus::find_in_windows(uint16_t port) const {
    for (const auto& window : windows_) {
        const uint32_t offset = port - window->first_.load(std::memory_order_acquire);
        const PortRange& native = window->native_;
        if (offset < native.count) {
            return {&window->slot_, &window->io_, static_cast<uint16_t>(native.first + offset),
                    native.count - offset};
        }
    }
    return {};
}

bool PortBus::anybody(uint16_t port, unsigned size) const {
    for (unsigned i = 0; i < size; ++i) {
        if (find(static_cast<uint16_t>(port + i)).slot != nullptr) return true;
    }
    return false;
}

// The chip at the first port is asked for the whole access: CONFIG_ADDRESS of PCI is one port that
// takes double words. What it does not take, or what reaches over the end of its range, is made
// byte by byte, as the ISA bus does for 8-bit chips.
bool PortBus::must_split(const Hit& hit, IoStatus status, uint16_t port, unsigned size) const {
    if (size == 1 || !anybody(port, size)) return false;
    if (hit.slot == nullptr || status == IoStatus::bad_size) return true;
    return size > hit.left;
}

uint32_t PortBus::read(uint16_t port, unsigned size) {
    const auto all_ones = static_cast<uint32_t>(size_mask(size));
    const Hit hit = find(port);
    IoStatus status = IoStatus::no_register;
    if (hit.slot != nullptr) {
        uint32_t value = all_ones;
        SlotLock lock(*hit.slot);
        status = hit.io->port_read(hit.port, size, value);
        if (status == IoStatus::ok) return value & all_ones;
    }
    if (must_split(hit, status, port, size)) {
        uint32_t value = 0;
        for (unsigned i = 0; i < size; ++i)
            value |= read(static_cast<uint16_t>(port + i), 1) << (8 * i);
        return value;
    }
    LOG_LIMITED(LogLevel::debug, "bus", "nobody answers a read of %u bytes at port 0x%x", size,
                port);
    return all_ones;
}

void PortBus::write(uint16_t port, unsigned size, uint32_t value) {
    value &= static_cast<uint32_t>(size_mask(size));
    const Hit hit = find(port);
    IoStatus status = IoStatus::no_register;
    if (hit.slot != nullptr) {
        SlotLock lock(*hit.slot);
        status = hit.io->port_write(hit.port, size, value);
        if (status == IoStatus::ok) return;
    }
    if (must_split(hit, status, port, size)) {
        for (unsigned i = 0; i < size; ++i)
            write(static_cast<uint16_t>(port + i), 1, (value >> (8 * i)) & 0xFF);
        return;
    }
    LOG_LIMITED(LogLevel::debug, "bus", "nobody takes a write of 0x%x (%u bytes) at port 0x%x",
                value, size, port);
}

MmioWindow& MmioBus::add(DeviceSlot& slot, MmioIo& io, uint64_t length) {
    BANYAN_ASSERT(length != 0 && is_aligned(length, uint64_t{8}));
    windows_.push_back(std::make_unique<MmioWindow>(slot, io, length));
    return *windows_.back();
}

MmioBus::Hit MmioBus::find(Gpa gpa) const {
    for (const auto& window : windows_) {
        const uint64_t base = window->base_.load(std::memory_order_acquire);
        if (base != MmioWindow::kUnmapped && gpa.value - base < window->length_) {
            return {window.get(), gpa.value - base};
        }
    }
    return {};
}

namespace {

// The next naturally aligned piece of an access.
unsigned piece_size(Gpa gpa, unsigned left) {
    unsigned size = 8;
    while (size > left || !is_aligned(gpa.value, uint64_t{size}))
        size /= 2;
    return size;
}

}  // namespace

uint64_t MmioBus::read(Gpa gpa, unsigned size) {
    uint64_t value = 0;
    for (unsigned done = 0; done < size;) {
        const unsigned piece = piece_size(gpa + done, size - done);
        value |= read_piece(gpa + done, piece) << (8 * done);
        done += piece;
    }
    return value;
}

void MmioBus::write(Gpa gpa, unsigned size, uint64_t value) {
    for (unsigned done = 0; done < size;) {
        const unsigned piece = piece_size(gpa + done, size - done);
        write_piece(gpa + done, piece, (value >> (8 * done)) & size_mask(piece));
        done += piece;
    }
}

// What a chip refuses as 8 bytes is made as twice 4, as PCI bridges do.
uint64_t MmioBus::read_piece(Gpa gpa, unsigned size) {
    const Hit hit = find(gpa);
    if (hit.window != nullptr) {
        uint64_t value = 0;
        IoStatus status = IoStatus::ok;
        {
            SlotLock lock(hit.window->slot_);
            status = hit.window->io_.mmio_read(hit.offset, size, value);
        }
        if (status == IoStatus::ok) return value & size_mask(size);
        if (status == IoStatus::bad_size && size == 8) {
            return read_piece(gpa, 4) | (read_piece(gpa + 4, 4) << 32);
        }
    }
    LOG_LIMITED(LogLevel::debug, "bus", "nobody answers a read of %u bytes at 0x%llx", size,
                static_cast<unsigned long long>(gpa.value));
    return size_mask(size);
}

void MmioBus::write_piece(Gpa gpa, unsigned size, uint64_t value) {
    const Hit hit = find(gpa);
    if (hit.window != nullptr) {
        IoStatus status = IoStatus::ok;
        {
            SlotLock lock(hit.window->slot_);
            status = hit.window->io_.mmio_write(hit.offset, size, value);
        }
        if (status == IoStatus::ok) return;
        if (status == IoStatus::bad_size && size == 8) {
            write_piece(gpa, 4, value & 0xFFFFFFFF);
            write_piece(gpa + 4, 4, value >> 32);
            return;
        }
    }
    LOG_LIMITED(LogLevel::debug, "bus", "nobody takes a write of 0x%llx (%u bytes) at 0x%llx",
                static_cast<unsigned long long>(value), size,
                static_cast<unsigned long long>(gpa.value));
}

}  // namespace banyan
