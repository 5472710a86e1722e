#include "machine/boards/vcpu_socket.hpp"

#include "support/bits.hpp"

namespace banyan {

void SignalRelay::raise_interrupt() {
    if (vcpu_ != nullptr) vcpu_->raise_interrupt();
}

void SignalRelay::raise_nmi() {
    if (vcpu_ != nullptr) vcpu_->raise_nmi();
}

void SignalRelay::raise_smi() {
    if (vcpu_ != nullptr) vcpu_->raise_smi();
}

void SignalRelay::raise_init() {
    if (vcpu_ != nullptr) vcpu_->raise_init();
}

void SignalRelay::raise_sipi(uint8_t vector) {
    if (vcpu_ != nullptr) vcpu_->raise_sipi(vector);
}

ChipSocket::ChipSocket(const Wiring& wiring, ApicBus& apics)
    : VcpuSocket(wiring),
      apic_({.id = wiring.index,
             .boot_processor = wiring.index == 0,
             .clock = wiring.clock,
             .timers = wiring.timers,
             .signals = signals(),
             .bus = apics,
             .memory = wiring.memory}) {}

IrqLine ChipSocket::connect_ext_int(ExtIntSource& source) {
    apic_.set_ext_int_source(&source);
    return {apic_, LocalApic::kLint0};
}

namespace {

constexpr uint64_t page_offset(Gpa gpa) {
    return gpa.value & (LocalApic::kMmioSize - 1);
}

}  // namespace

uint64_t ChipSocket::mmio_read(Gpa gpa, unsigned size) {
    if (!apic_.claims(gpa)) return VcpuSocket::mmio_read(gpa, size);
    uint64_t value = 0;
    const IoStatus status = apic_.mmio_read(page_offset(gpa), size, value);
    return (status == IoStatus::ok ? value : ~uint64_t{0}) & size_mask(size);
}

void ChipSocket::mmio_write(Gpa gpa, unsigned size, uint64_t value) {
    if (!apic_.claims(gpa)) return VcpuSocket::mmio_write(gpa, size, value);
    // A refused write vanishes, as on hardware.
    (void)apic_.mmio_write(page_offset(gpa), size, value & size_mask(size));
}

EngineSocket::EngineSocket(const Wiring& wiring, EngineApics& apics)
    : VcpuSocket(wiring), apic_({.index = wiring.index, .clock = wiring.clock, .apics = apics}) {}

IrqLine EngineSocket::connect_ext_int(ExtIntSource& source) {
    ext_int_ = &source;
    return {*this, LocalApic::kLint0};
}

void EngineSocket::set_irq(unsigned, bool asserted) {
    if (asserted) signals().raise_interrupt();
}

}  // namespace banyan
