#include "devices/pci/pci_bus.hpp"

#include <cstdio>
#include <optional>

#include "devices/pci/pci_bus_state.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

constexpr uint16_t kAddressPort = 0xcf8;
constexpr uint16_t kDataPort = 0xcfc;
// The ports between, CF9 (reset control) among them, belong to others: CONFIG_ADDRESS is only a
// double word.
constexpr std::array<PortRange, 2> kPorts{PortRange{kAddressPort, 1}, PortRange{kDataPort, 4}};

// 3.2.2.3.2 "Software Generation of Configuration Transactions".
struct ConfigAddress : Reg<uint32_t> {
    using Enable = Field<ConfigAddress, 31, 31, bool>;
    using Bus = Field<ConfigAddress, 23, 16, uint8_t>;
    using DeviceFunction = Field<ConfigAddress, 15, 8, uint8_t>;
    using Register = Field<ConfigAddress, 7, 2, uint8_t>;  // a double word
};
constexpr uint32_t kConfigAddressWritable = 0x80fffffc;

constexpr PciIdentity kBridgeIdentity{
    .vendor = 0x1b36,  // Red Hat
    .device = 0x0008,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class_code = 0x060000,
    .revision = 0,
    .interrupt_pin = 0,
};

constexpr unsigned devfn(PciAddress address) {
    return address.device * 8U + address.function;
}

// Hands out a window from its start, each range aligned to its size.
class Allocator {
public:
    explicit Allocator(PciWindow window) : next_(window.start), end_(window.end) {}

    std::optional<uint64_t> take(uint64_t size) {
        const uint64_t start = align_up(next_, size);
        if (start < next_ || start >= end_ || end_ - start < size) return std::nullopt;
        next_ = start + size;
        return start;
    }

private:
    uint64_t next_;
    uint64_t end_;
};

struct Allocators {
    Allocator memory32;
    Allocator memory64;
    Allocator ports;

    std::optional<uint64_t> take(const PciBar& bar) {
        if (bar.kind == PciBarKind::io) return ports.take(bar.size);
        // Below 4 GiB first: guests without paging structures for more can reach it there.
        const auto low = memory32.take(bar.size);
        return low || bar.kind == PciBarKind::memory32 ? low : memory64.take(bar.size);
    }
};

Result<void> assign_function(PciFunction& function, Allocators& allocators) {
    for (unsigned bar = 0; bar < pci::kBarCount; ++bar) {
        const PciBar& what = function.bars()[bar];
        if (what.kind == PciBarKind::none) continue;
        const auto address = allocators.take(what);
        if (!address) {
            char text[Error::kMaxText];
            const auto name = function.name();
            std::snprintf(text, sizeof(text),
                          "place device %.*s: the windows for PCI are full; use fewer devices",
                          static_cast<int>(name.size()), name.data());
            return fail(ErrorCode::invalid_argument, text);
        }
        function.set_bar_address(bar, *address);
    }
    function.enable_decoding();
    return {};
}

}  // namespace

PciHostBridge::PciHostBridge(const PciWiring& wiring) : PciFunction(kBridgeIdentity, wiring) {}

Result<void> PciHost::add_function(PciAddress address, PciFunction& function, LockRef lock) {
    if (address.device > 31 || address.function > 7) {
        return fail(ErrorCode::invalid_argument,
                    "add a PCI function: a bus has devices 0..31 with functions 0..7");
    }
    Slot& slot = slots_[devfn(address)];
    if (slot.function != nullptr)
        return fail(ErrorCode::busy, "add a PCI function: its place on the bus is taken");
    slot = {&function, lock};
    // 6.2.1 "Device Identification": function 0 says whether to look for others.
    const unsigned first = devfn({address.device, 0});
    bool several = false;
    for (unsigned i = 1; i < 8; ++i)
        several |= slots_[first + i].function != nullptr;
    if (several && slots_[first].function != nullptr) slots_[first].function->set_multifunction();
    return {};
}

// What its BARs covered may be free for another's.
void PciHost::remove_function(PciAddress address) {
    slots_[devfn(address)] = {};
    retry_blocked_bars();
}

Result<void> PciHost::assign_bars(const PciWindows& windows) {
    if (windows.memory32.end > bit(32) || windows.ports.end > bit(16)) {
        return fail(ErrorCode::invalid_argument,
                    "place PCI devices: a window is outside its address space");
    }
    Allocators allocators{Allocator(windows.memory32), Allocator(windows.memory64),
                          Allocator(windows.ports)};
    for (const Slot& slot : slots_) {
        if (slot.function == nullptr) continue;
        LockRefGuard lock(*slot.lock);
        TRY(assign_function(*slot.function, allocators));
    }
    retry_blocked_bars();
    return {};
}

void PciHost::reset() {
    config_address_ = 0;
}

void PciHost::save(StateWriter& writer) const {
    writer.section(PciHostStateV1{config_address_});
}

Result<void> PciHost::restore(StateReader& reader) {
    reset();
    TRY_ASSIGN(state, reader.section<PciHostStateV1>());
    config_address_ = state.config_address & kConfigAddressWritable;
    return {};
}

std::span<const PortRange> PciHost::port_ranges() const {
    return kPorts;
}

// False when the access is none of configuration space: it would be ordinary I/O, where nothing
// answers.
bool PciHost::data_port_offset(uint16_t port, unsigned size, uint16_t& offset) const {
    const ConfigAddress address{config_address_};
    if (port < kDataPort || port - kDataPort + size > 4) return false;
    if (!address.get<ConfigAddress::Enable>()) return false;
    offset = static_cast<uint16_t>(address.get<ConfigAddress::Register>() * 4 + (port - kDataPort));
    return true;
}

IoStatus PciHost::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (port == kAddressPort && size == 4) {
        value = config_address_;
        return IoStatus::ok;
    }
    uint16_t offset = 0;
    if (!data_port_offset(port, size, offset)) return IoStatus::no_register;
    const ConfigAddress address{config_address_};
    value = ~0U;
    if (address.get<ConfigAddress::Bus>() == 0) {
        value = config_read(address.get<ConfigAddress::DeviceFunction>(), offset, size);
    }
    return IoStatus::ok;
}

IoStatus PciHost::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (port == kAddressPort && size == 4) {
        config_address_ = value & kConfigAddressWritable;
        return IoStatus::ok;
    }
    uint16_t offset = 0;
    if (!data_port_offset(port, size, offset)) return IoStatus::no_register;
    const ConfigAddress address{config_address_};
    if (address.get<ConfigAddress::Bus>() == 0) {
        config_write(address.get<ConfigAddress::DeviceFunction>(), offset, size, value);
    }
    return IoStatus::ok;
}

// ECAM: bits 19:12 are device and function, 11:0 the register. A function need not take accesses
// across a double word (PCI Express Base 5.0, 7.2.2), and no request is that large.
IoStatus PciHost::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (offset >= kEcamSize) return IoStatus::no_register;
    if (offset % 4 + size > 4) return IoStatus::bad_size;
    value = config_read(static_cast<unsigned>(bits(offset, 19, 12)),
                        static_cast<uint16_t>(bits(offset, 11, 0)), size);
    return IoStatus::ok;
}

IoStatus PciHost::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (offset >= kEcamSize) return IoStatus::no_register;
    if (offset % 4 + size > 4) return IoStatus::bad_size;
    config_write(static_cast<unsigned>(bits(offset, 19, 12)),
                 static_cast<uint16_t>(bits(offset, 11, 0)), size, static_cast<uint32_t>(value));
    return IoStatus::ok;
}

// Where no function is, the bridge ends the read with all ones (6.1).
uint32_t PciHost::config_read(unsigned devfn, uint16_t offset, unsigned size) {
    const Slot& slot = slots_[devfn];
    if (slot.function == nullptr) return static_cast<uint32_t>(size_mask(size));
    LockRefGuard lock(*slot.lock);
    return slot.function->config_read(offset, size);
}

void PciHost::config_write(unsigned devfn, uint16_t offset, unsigned size, uint32_t value) {
    const Slot& slot = slots_[devfn];
    if (slot.function == nullptr) return;
    {
        LockRefGuard lock(*slot.lock);
        slot.function->config_write(offset, size, value);
    }
    // Only a header write can have freed a range.
    if (offset < pci::kFirstCapability) retry_blocked_bars();
}

void PciHost::retry_blocked_bars() {
    for (const Slot& slot : slots_) {
        if (slot.function == nullptr) continue;
        LockRefGuard lock(*slot.lock);
        if (slot.function->has_blocked_bars()) slot.function->update_mappings();
    }
}

}  // namespace banyan
