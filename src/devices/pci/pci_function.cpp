#include "devices/pci/pci_function.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "devices/pci/pci_function_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

using pci::Command;
using pci::MsixControl;
using pci::Reg16;
using pci::Reg32;
using pci::Reg8;
using pci::Status;

namespace {

template <class R>
constexpr uint16_t offset_of(R reg) {
    return static_cast<uint16_t>(reg);
}

constexpr uint16_t bar_offset(unsigned bar) {
    if (bar == pci::kRomBar) return offset_of(Reg32::rom);
    return static_cast<uint16_t>(offset_of(Reg32::bar0) + 4 * bar);
}

// 6.2.5.1 "Address Maps": the read-only low bits of a BAR.
constexpr uint32_t kBarIo = 1;
constexpr uint32_t kBarMemory64 = 4;
constexpr uint32_t kBarPrefetchable = 8;
constexpr uint64_t kIoAddressMask = ~uint64_t{3};
constexpr uint64_t kMemoryAddressMask = ~uint64_t{15};
// 6.2.5.2 "Expansion ROM Base Address Register".
constexpr uint32_t kRomEnable = 1;
constexpr uint64_t kRomAddressMask = 0xFFFFF800;
constexpr size_t kSmallestRom = 2048;

// What all functions have; the bits for I/O and memory space become writable with the first BAR of
// that kind.
constexpr uint16_t kCommandWritable =
    bit<uint16_t>(Command::BusMaster::kLow) | bit<uint16_t>(Command::ParityErrorResponse::kLow) |
    bit<uint16_t>(Command::SerrEnable::kLow) | bit<uint16_t>(Command::InterruptDisable::kLow);

}  // namespace

IoStatus PciRom::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    value = ~uint64_t{0};
    if (offset < image_.size())
        std::memcpy(&value, image_.data() + offset,
                    std::min<uint64_t>(size, image_.size() - offset));
    return IoStatus::ok;
}

PciFunction::PciFunction(const PciIdentity& identity, const PciWiring& wiring)
    : mapper_(wiring.mapper), intx_(wiring.intx) {
    mapped_at_.fill(kNotMapped);
    set_initial(offset_of(Reg16::vendor), identity.vendor, 2, 0);
    set_initial(offset_of(Reg16::device), identity.device, 2, 0);
    set_initial(offset_of(Reg16::command), 0, 2, kCommandWritable);
    set_initial(offset_of(Reg8::revision), identity.revision, 1, 0);
    set_initial(offset_of(Reg8::programming_interface), identity.class_code & 0xff, 1, 0);
    set_initial(offset_of(Reg8::subclass), identity.class_code >> 8 & 0xff, 1, 0);
    set_initial(offset_of(Reg8::base_class), identity.class_code >> 16 & 0xff, 1, 0);
    set_initial(offset_of(Reg8::cache_line_size), 0, 1, 0xff);
    set_initial(offset_of(Reg16::subsystem_vendor), identity.subsystem_vendor, 2, 0);
    set_initial(offset_of(Reg16::subsystem), identity.subsystem, 2, 0);
    set_initial(offset_of(Reg8::interrupt_line), 0, 1, 0xff);
    set_initial(offset_of(Reg8::interrupt_pin), identity.interrupt_pin, 1, 0);
}

void PciFunction::set_initial(uint16_t offset, uint32_t value, unsigned size, uint32_t writable) {
    std::memcpy(power_on_.data() + offset, &value, size);
    std::memcpy(config_.data() + offset, &value, size);
    std::memcpy(writable_.data() + offset, &writable, size);
}

void PciFunction::declare_memory_bar(unsigned bar, PciBarKind kind, uint64_t size,
                                     MmioIo& handler) {
    declare_memory(bar, {.kind = kind, .size = size, .memory = &handler}, 0);
}

void PciFunction::declare_ram_bar(unsigned bar, PciBarKind kind, std::span<std::byte> ram) {
    BANYAN_ASSERT(ram.size() >= kPageSize);
    declare_memory(bar, {.kind = kind, .size = ram.size(), .ram = ram}, kBarPrefetchable);
}

void PciFunction::declare_memory(unsigned bar, const PciBar& what, uint32_t low_bits) {
    const bool wide = what.kind == PciBarKind::memory64;
    BANYAN_ASSERT(wide || what.kind == PciBarKind::memory32);
    BANYAN_ASSERT(bar + (wide ? 1 : 0) < pci::kBarCount);
    BANYAN_ASSERT(std::has_single_bit(what.size) && what.size >= 16);
    BANYAN_ASSERT(wide || what.size <= bit(31));
    bars_[bar] = what;
    const uint64_t writable = ~(what.size - 1);
    set_initial(bar_offset(bar), low_bits | (wide ? kBarMemory64 : 0), 4,
                static_cast<uint32_t>(writable));
    if (wide) set_initial(bar_offset(bar + 1), 0, 4, static_cast<uint32_t>(writable >> 32));
    writable_[offset_of(Reg16::command)] |= bit<uint8_t>(Command::MemorySpace::kLow);
}

void PciFunction::declare_doorbells(unsigned bar, const PciDoorbells& doorbells) {
    BANYAN_ASSERT(bars_[bar].memory != nullptr && doorbells.stride != 0);
    BANYAN_ASSERT(doorbells.offset + uint64_t{doorbells.stride} * doorbells.count <=
                  bars_[bar].size);
    bars_[bar].doorbells = doorbells;
}

void PciFunction::declare_io_bar(unsigned bar, uint32_t size, PortIo& handler) {
    // 6.2.5.1: an I/O BAR is at most 256 bytes.
    BANYAN_ASSERT(bar < pci::kBarCount && std::has_single_bit(size) && size >= 4 && size <= 256);
    bars_[bar] = {.kind = PciBarKind::io, .size = size, .ports = &handler};
    set_initial(bar_offset(bar), kBarIo, 4, ~(size - 1));
    writable_[offset_of(Reg16::command)] |= bit<uint8_t>(Command::IoSpace::kLow);
}

void PciFunction::declare_rom(std::span<const std::byte> image) {
    const uint64_t size = std::bit_ceil(std::max(image.size(), kSmallestRom));
    BANYAN_ASSERT(size <= bit(24));  // 6.2.5.2
    rom_.set_image(image);
    bars_[pci::kRomBar] = {.kind = PciBarKind::memory32, .size = size, .memory = &rom_};
    set_initial(bar_offset(pci::kRomBar), 0, 4, static_cast<uint32_t>(~(size - 1)) | kRomEnable);
    writable_[offset_of(Reg16::command)] |= bit<uint8_t>(Command::MemorySpace::kLow);
}

void PciFunction::declare_legacy_ports() {
    writable_[offset_of(Reg16::command)] |= bit<uint8_t>(Command::IoSpace::kLow);
}

uint16_t PciFunction::add_capability(uint8_t id, std::span<const uint8_t> body,
                                     std::span<const uint8_t> writable) {
    const uint16_t at = next_capability_;
    BANYAN_ASSERT(at + 2 + body.size() <= pci::kConfigSize);
    BANYAN_ASSERT(writable.empty() || writable.size() == body.size());
    set_initial(last_capability_link_, at, 1, 0);
    set_initial(at, id, 2, 0);
    for (uint16_t i = 0; i < body.size(); ++i) {
        set_initial(static_cast<uint16_t>(at + 2 + i), body[i], 1,
                    writable.empty() ? 0 : writable[i]);
    }
    Status status;
    status.set<Status::CapabilitiesList>(true);
    set_initial(offset_of(Reg16::status), status.raw, 2, 0);
    last_capability_link_ = static_cast<uint16_t>(at + 1);
    next_capability_ = static_cast<uint16_t>(align_up<size_t>(at + 2 + body.size(), 4));
    return at;
}

void PciFunction::add_msix(Msix& msix, unsigned bar) {
    declare_memory_bar(bar, PciBarKind::memory64, msix.bar_size(), msix);
    MsixControl control;
    control.set<MsixControl::TableSize>(static_cast<uint16_t>(msix.vectors() - 1));
    // Message control, table offset with BAR number, pending bits' offset with BAR number.
    std::array<uint8_t, 10> body{};
    const uint32_t table = bar;
    const uint32_t pba = msix.pba_offset() | bar;
    std::memcpy(body.data(), &control.raw, 2);
    std::memcpy(body.data() + 2, &table, 4);
    std::memcpy(body.data() + 6, &pba, 4);
    const std::array<uint8_t, 10> writable{0, 0xc0};  // enable and function mask
    msix_ = &msix;
    msix_capability_ = add_capability(pci::kCapabilityMsix, body, writable);
}

uint32_t PciFunction::config_read(uint16_t offset, unsigned size) {
    BANYAN_ASSERT(size <= 4 && offset % 4 + size <= 4 && offset < pci::kEcamConfigSize);
    if (offset >= pci::kConfigSize) return 0;
    on_config_read(offset, size);
    uint32_t value = 0;
    std::memcpy(&value, config_.data() + offset, size);
    return value;
}

void PciFunction::config_write(uint16_t offset, unsigned size, uint32_t value) {
    BANYAN_ASSERT(size <= 4 && offset % 4 + size <= 4 && offset < pci::kEcamConfigSize);
    if (offset >= pci::kConfigSize) return;
    for (unsigned i = 0; i < size; ++i) {
        uint8_t& byte = config_[offset + i];
        const uint8_t writable = writable_[offset + i];
        byte = static_cast<uint8_t>((byte & ~writable) | (value >> (8 * i) & writable));
    }
    const bool command = pci::touches(offset, size, offset_of(Reg16::command), 2);
    if (command || pci::touches(offset, size, offset_of(Reg32::bar0), 4 * pci::kBarCount) ||
        pci::touches(offset, size, offset_of(Reg32::rom), 4))
        update_mappings();
    if (command || (msix_ != nullptr && pci::touches(offset, size, msix_capability_, 4)))
        config_changed();
    on_config_written(offset, size);
}

void PciFunction::set_config_bytes(uint16_t offset, std::span<const uint8_t> bytes) {
    BANYAN_ASSERT(offset + bytes.size() <= config_.size());
    std::copy(bytes.begin(), bytes.end(), config_.begin() + offset);
}

Command PciFunction::command() const {
    return {config_value<uint16_t>(offset_of(Reg16::command))};
}

bool PciFunction::bus_master_enabled() const {
    return command().get<Command::BusMaster>();
}

uint64_t PciFunction::bar_address(unsigned bar) const {
    const uint64_t low = config_value<uint32_t>(bar_offset(bar));
    if (bar == pci::kRomBar) return low & kRomAddressMask;
    switch (bars_[bar].kind) {
        case PciBarKind::none: break;
        case PciBarKind::io: return low & kIoAddressMask;
        case PciBarKind::memory32: return low & kMemoryAddressMask;
        case PciBarKind::memory64:
            return (uint64_t{config_value<uint32_t>(bar_offset(bar + 1))} << 32 | low) &
                   kMemoryAddressMask;
    }
    return 0;
}

void PciFunction::set_bar_address(unsigned bar, uint64_t address) {
    config_write(bar_offset(bar), 4, static_cast<uint32_t>(address));
    if (bars_[bar].kind == PciBarKind::memory64) {
        config_write(bar_offset(bar + 1), 4, static_cast<uint32_t>(address >> 32));
    }
}

void PciFunction::enable_decoding() {
    Command enabled = command();
    enabled.set<Command::IoSpace>(true);  // the bits that have no BAR are read-only
    enabled.set<Command::MemorySpace>(true);
    config_write(offset_of(Reg16::command), 2, enabled.raw);
}

void PciFunction::set_interrupt_line(uint8_t line) {
    config_write(offset_of(Reg8::interrupt_line), 1, line);
}

void PciFunction::set_multifunction() {
    set_initial(offset_of(Reg8::header_type), pci::kHeaderMultifunction, 1, 0);
}

bool PciFunction::decoding(PciBarKind kind) const {
    if (kind == PciBarKind::none) return false;
    return kind == PciBarKind::io ? command().get<Command::IoSpace>()
                                  : command().get<Command::MemorySpace>();
}

// Where the BAR should answer now. Address 0 is "not placed", and a range that reaches past the end
// of its address space (as while a guest sizes the BAR) can answer nowhere.
uint64_t PciFunction::wanted_address(unsigned bar) const {
    const PciBar& what = bars_[bar];
    if (!decoding(what.kind)) return kNotMapped;
    if (bar == pci::kRomBar && (config_value<uint32_t>(bar_offset(bar)) & kRomEnable) == 0)
        return kNotMapped;
    const uint64_t address = bar_address(bar);
    const uint64_t last = address + (what.size - 1);
    if (address == 0 || last < address || last == ~uint64_t{0}) return kNotMapped;
    if (what.kind == PciBarKind::io && last > 0xffff) return kNotMapped;
    return address;
}

bool PciFunction::map(unsigned bar, uint64_t address) {
    const PciBar& what = bars_[bar];
    if (!what.ram.empty()) return mapper_.map_ram(*this, bar, Gpa{address});
    if (what.kind != PciBarKind::io)
        return mapper_.map_memory(*this, bar, Gpa{address}, what.size, *what.memory);
    const PortRange range{static_cast<uint16_t>(address), static_cast<uint16_t>(what.size)};
    return mapper_.map_ports(*this, bar, range, *what.ports);
}

void PciFunction::update_mappings() {
    std::array<uint64_t, pci::kBarCount + 1> wanted{};
    for (unsigned bar = 0; bar < bars_.size(); ++bar) {
        wanted[bar] = wanted_address(bar);
        if (mapped_at_[bar] == kNotMapped || mapped_at_[bar] == wanted[bar]) continue;
        mapper_.unmap(*this, bar);
        mapped_at_[bar] = kNotMapped;
    }
    // After all that must go has gone, so that BARs of one function may change places.
    blocked_bars_ = false;
    for (unsigned bar = 0; bar < bars_.size(); ++bar) {
        if (wanted[bar] == kNotMapped || mapped_at_[bar] == wanted[bar]) continue;
        if (map(bar, wanted[bar])) {
            mapped_at_[bar] = wanted[bar];
        } else {
            blocked_bars_ = true;
        }
    }
}

// The command register or the MSI-X control has changed.
void PciFunction::config_changed() {
    if (msix_ != nullptr) {
        const MsixControl control{
            config_value<uint16_t>(static_cast<uint16_t>(msix_capability_ + 2))};
        // A message is a memory write of the function, which it may do only as a bus master
        // (6.2.2).
        const bool masked = control.get<MsixControl::FunctionMask>() || !bus_master_enabled();
        msix_->set_control(control.get<MsixControl::Enable>(), masked);
    }
    update_intx();
}

void PciFunction::set_intx(bool asserted) {
    intx_wanted_ = asserted;
    update_intx();
}

void PciFunction::update_intx() {
    // 6.2.3: the status bit shows the function's wish even while the wire is disabled.
    Status status{config_value<uint16_t>(offset_of(Reg16::status))};
    status.set<Status::InterruptStatus>(intx_wanted_);
    std::memcpy(config_.data() + offset_of(Reg16::status), &status.raw, 2);
    const bool silent =
        command().get<Command::InterruptDisable>() || (msix_ != nullptr && msix_->enabled());
    intx_.set(intx_wanted_ && !silent);
}

void PciFunction::reset_config() {
    config_ = power_on_;
    intx_wanted_ = false;
    if (msix_ != nullptr) msix_->reset();
    update_mappings();
    config_changed();
}

void PciFunction::save_config(StateWriter& writer) const {
    writer.section(PciFunctionStateV1{config_});
    if (msix_ != nullptr) msix_->save(writer);
}

Result<void> PciFunction::restore_config(StateReader& reader) {
    reset_config();
    TRY_ASSIGN(state, reader.section<PciFunctionStateV1>());
    const uint16_t id = offset_of(Reg16::vendor);
    if (!std::equal(state.config.begin() + id, state.config.begin() + id + 4,
                    config_.begin() + id)) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: PCI function: it belongs to another kind of device");
    }
    if (msix_ != nullptr) TRY(msix_->restore(reader));
    for (size_t i = 0; i < config_.size(); ++i) {
        config_[i] =
            static_cast<uint8_t>((config_[i] & ~writable_[i]) | (state.config[i] & writable_[i]));
    }
    update_mappings();
    config_changed();
    return {};
}

}  // namespace banyan
