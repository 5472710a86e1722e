#include "devices/storage/ahci.hpp"

#include "devices/pci/msi.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace ahci;

namespace {

constexpr PciIdentity kAhciIdentity{.vendor = 0x8086,
                                    .device = 0x2922,
                                    .subsystem_vendor = 0x8086,
                                    .subsystem = 0x2922,
                                    .class_code = 0x010601,
                                    .revision = 2,
                                    .interrupt_pin = 1};
constexpr uint32_t kCapabilities = (Ahci::kPorts - 1) | (kSlots - 1) << kCapSlotsShift |
                                   kCapAhciOnly | kCapGen2 | kCapCommandListOverride | kCapNcq |
                                   kCap64Bit;
constexpr uint64_t kAhciRunLaterNs = 1'000;

}  // namespace

Ahci::Ahci(const AhciWiring& wiring)
    : PciFunction(kAhciIdentity, {wiring.mapper, wiring.intx}),
      msi_(wiring.msi),
      clock_(wiring.clock),
      timer_(wiring.timers.create_timer(*this, 0)) {
    AhciPortHost& host = *this;
    for (auto& port : ports_)
        port = std::make_unique<AhciPort>(wiring.memory, host);
    declare_memory_bar(kBar, PciBarKind::memory32, kBarSize, *this);
    msi_capability_ = add_capability(pci::kCapabilityMsi, pci::kMsiBody, pci::kMsiWritable);
}

void Ahci::attach(unsigned port, std::unique_ptr<AtaDevice> device) {
    ports_[port]->attach(std::move(device));
}

void Ahci::drain() const {
    for (const auto& port : ports_)
        port->drain();
}

void Ahci::reset() {
    drain();
    timer_->cancel();
    reset_config();
    for (const auto& port : ports_) {
        port->set_dma_enabled(false);
        port->power_on();
    }
    control_ = kGhcAhciEnable;
    interrupt_status_ = 0;
    (void)update_wire();
}

// 3: registers are double words; narrower reads are of parts of them, wider accesses of two.
IoStatus Ahci::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (offset % size != 0) return IoStatus::bad_size;
    const uint64_t at = align_down<uint64_t>(offset, 4);
    value = read_register(at) >> (8 * (offset - at));
    if (size == 8) value |= uint64_t{read_register(at + 4)} << 32;
    return IoStatus::ok;
}

IoStatus Ahci::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (size < 4 || offset % size != 0) return IoStatus::bad_size;
    write_register(offset, static_cast<uint32_t>(value));
    if (size == 8) write_register(offset + 4, static_cast<uint32_t>(value >> 32));
    return IoStatus::ok;
}

uint32_t Ahci::read_register(uint64_t offset) const {
    if (offset < kPortsStart) return read_hba(static_cast<Hba>(offset));
    const uint64_t port = (offset - kPortsStart) / kPortSize;
    if (port >= kPorts) return 0;
    return ports_[port]->read(static_cast<Port>((offset - kPortsStart) % kPortSize));
}

void Ahci::write_register(uint64_t offset, uint32_t value) {
    if (offset < kPortsStart) return write_hba(static_cast<Hba>(offset), value);
    const uint64_t port = (offset - kPortsStart) / kPortSize;
    if (port >= kPorts) return;
    ports_[port]->write(static_cast<Port>((offset - kPortsStart) % kPortSize), value);
}

uint32_t Ahci::read_hba(Hba reg) const {
    switch (reg) {
        case Hba::CAP: return kCapabilities;
        case Hba::GHC: return control_;
        case Hba::IS: return interrupt_status_;
        case Hba::PI: return mask<uint32_t>(kPorts - 1, 0);
        case Hba::VS: return kVersion;
        case Hba::CAP2: break;
    }
    return 0;
}

void Ahci::write_hba(Hba reg, uint32_t value) {
    switch (reg) {
        case Hba::GHC: return write_control(value);
        // 10.7.2.1: what is left when some are cleared is told of again.
        case Hba::IS: interrupt_status_ &= ~value; return port_event();
        default: return;
    }
}

// 3.1.2; 10.4.3 "HBA Reset".
void Ahci::write_control(uint32_t value) {
    if ((value & kGhcReset) != 0) return reset_hba();
    control_ = (value & kGhcInterruptEnable) | kGhcAhciEnable;
    port_event();
}

void Ahci::reset_hba() {
    for (const auto& port : ports_)
        port->reset();
    control_ = kGhcAhciEnable;
    interrupt_status_ = 0;
    (void)update_wire();
}

void Ahci::port_event() {
    if (update_wire()) send_message();
}

void Ahci::port_cleared() {
    (void)update_wire();
}

// 10.7.2 "Interrupt Tiers": while a port has an interrupt, its bit comes back.
bool Ahci::update_wire() {
    for (unsigned i = 0; i < kPorts; ++i) {
        if (ports_[i]->interrupt_pending()) interrupt_status_ |= bit<uint32_t>(i);
    }
    const bool pending = interrupt_status_ != 0 && (control_ & kGhcInterruptEnable) != 0;
    set_intx(pending && !pci::msi_message(config().subspan(msi_capability_)));
    return pending;
}

void Ahci::send_message() {
    const auto message = pci::msi_message(config().subspan(msi_capability_));
    if (message && bus_master_enabled()) msi_.send_msi(*message);
}

void Ahci::on_config_written(uint16_t, unsigned) {
    for (const auto& port : ports_)
        port->set_dma_enabled(bus_master_enabled());
    (void)update_wire();
}

void Ahci::run_later() {
    timer_->arm(clock_.now_ns() + kAhciRunLaterNs);
}

void Ahci::on_timer(unsigned) {
    for (const auto& port : ports_)
        port->run();
}

void Ahci::save(StateWriter& writer) const {
    drain();
    save_config(writer);
    AhciStateV1 state{control_, interrupt_status_, {}};
    for (const auto& port : ports_)
        state.ports.push_back(port->state());
    writer.section(state);
}

Result<void> Ahci::restore(StateReader& reader) {
    reset();
    auto result = restore_all(reader);
    if (!result) reset();
    return result;
}

Result<void> Ahci::restore_all(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<AhciStateV1>());
    if (state.ports.size() != ports_.size()) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: AHCI: it is of a controller with other ports");
    }
    for (size_t i = 0; i < ports_.size(); ++i) {
        if (!ports_[i]->restore(state.ports[i])) {
            return fail(ErrorCode::invalid_data,
                        "load saved state: AHCI: a port is impossible, or has another device");
        }
    }
    control_ = (state.control & kGhcInterruptEnable) | kGhcAhciEnable;
    interrupt_status_ = state.interrupt_status & mask<uint32_t>(kPorts - 1, 0);
    TRY(restore_config(reader));
    for (const auto& port : ports_)
        port->set_dma_enabled(bus_master_enabled());
    (void)update_wire();
    run_later();
    return {};
}

}  // namespace banyan
