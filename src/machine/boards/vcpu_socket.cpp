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

VcpuSocket::VcpuSocket(const Wiring& wiring)
    : ports_(wiring.ports),
      mmio_(wiring.mmio),
      apic_({.id = wiring.index,
             .boot_processor = wiring.index == 0,
             .clock = wiring.clock,
             .timers = wiring.timers,
             .signals = signals_,
             .bus = wiring.apics,
             .memory = wiring.memory}) {}

namespace {

constexpr uint64_t page_offset(Gpa gpa) {
    return gpa.value & (LocalApic::kMmioSize - 1);
}

}  // namespace

uint64_t VcpuSocket::mmio_read(Gpa gpa, unsigned size) {
    if (!apic_.claims(gpa)) return mmio_.read(gpa, size);
    uint64_t value = 0;
    const IoStatus status = apic_.mmio_read(page_offset(gpa), size, value);
    return (status == IoStatus::ok ? value : ~uint64_t{0}) & size_mask(size);
}

void VcpuSocket::mmio_write(Gpa gpa, unsigned size, uint64_t value) {
    if (!apic_.claims(gpa)) return mmio_.write(gpa, size, value);
    // A refused write vanishes, as on hardware.
    (void)apic_.mmio_write(page_offset(gpa), size, value & size_mask(size));
}

}  // namespace banyan
