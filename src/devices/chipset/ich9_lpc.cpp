#include "devices/chipset/ich9_lpc.hpp"

namespace banyan {

namespace {

constexpr PciIdentity kIdentity{
    .vendor = 0x8086,
    .device = 0x2918,
    .subsystem_vendor = 0x1AF4,
    .subsystem = 0x1100,
    .class_code = 0x060100,
    .revision = 2,
};

// 13.1.3 "PCICMD": ports, memory and bus mastering are always on.
constexpr uint16_t kCommand = 0x04;
constexpr uint16_t kAlwaysOn = 0x0007;
constexpr uint16_t kCommandWritable = 0x0140;
// 13.1.13 "PMBASE" and 13.1.14 "ACPI_CNTL". The SCI is IRQ 9, SCI_IRQ_SEL = 0, and stays there.
constexpr uint16_t kPmBase = 0x40;
constexpr uint32_t kPortSpace = 1;
constexpr uint32_t kPmBaseWritable = 0xFF80;
constexpr uint16_t kAcpiControl = 0x44;
constexpr uint8_t kAcpiEnable = 0x80;
// 13.1.15 "GPIOBASE" and 13.1.16 "GC": there are no such pins.
constexpr uint16_t kGpioBase = 0x48;
constexpr uint32_t kGpioBaseWritable = 0xFFC0;
constexpr uint16_t kGpioControl = 0x4C;
// 13.1.17 and 13.1.19 "PIRQ[n]_ROUT": not routed, and an IRQ of the 8259s.
constexpr uint16_t kPirqA = 0x60;
constexpr uint16_t kPirqE = 0x68;
constexpr uint8_t kNotRouted = 0x80;
constexpr uint8_t kIrq = 0x0F;
// 13.1.18 "SIRQ_CNTL".
constexpr uint16_t kSerialIrq = 0x64;
// 13.1.21 "LPC_I/O_DEC" to 13.1.26 "GEN4_DEC": legacy devices answer whatever they say.
constexpr uint16_t kIoDecode = 0x80;
constexpr uint16_t kIoEnables = 0x82;
constexpr uint16_t kGenericDecode1 = 0x84;
constexpr uint32_t kGenericDecodeWritable = 0x00FCFFFD;
// 13.8.1 "General PM configuration".
constexpr uint16_t kGenPmCon1 = 0xA0;
constexpr uint16_t kGenPmCon3 = 0xA4;
// 13.1.33 "BIOS_CNTL" and 13.1.35 "RCBA".
constexpr uint16_t kBiosControl = 0xDC;
constexpr uint16_t kRcba = 0xF0;
constexpr uint32_t kRcbaWritable = 0xFFFFC001;

constexpr uint16_t pirq_register(unsigned pirq) {
    return static_cast<uint16_t>(pirq < 4 ? kPirqA + pirq : kPirqE + pirq - 4);
}

// 13.1.17: IRQs 0, 1, 2, 8 and 13 are reserved.
constexpr bool may_be_routed(unsigned irq) {
    return irq >= 3 && irq != 8 && irq != 13;
}

}  // namespace

Ich9Lpc::Ich9Lpc(const Wiring& wiring) : PciFunction(kIdentity, wiring.pci), board_(wiring.board) {
    declare_register(kCommand, kAlwaysOn, 2, kCommandWritable);
    declare_register(kPmBase, kPortSpace, 4, kPmBaseWritable);
    declare_register(kAcpiControl, 0, 1, kAcpiEnable);
    declare_register(kGpioBase, kPortSpace, 4, kGpioBaseWritable);
    declare_register(kGpioControl, 0, 1, 0x10);
    for (unsigned pirq = 0; pirq < kPirqs; ++pirq)
        declare_register(pirq_register(pirq), kNotRouted, 1, kNotRouted | kIrq);
    declare_register(kSerialIrq, 0x10, 1, 0xFF);
    declare_register(kIoDecode, 0, 2, 0x1377);
    declare_register(kIoEnables, 0, 2, 0x3F0F);
    for (uint16_t i = 0; i < 4; ++i)
        declare_register(static_cast<uint16_t>(kGenericDecode1 + 4 * i), 0, 4,
                         kGenericDecodeWritable);
    declare_register(kGenPmCon1, 0, 2, 0x04FF);
    declare_register(kGenPmCon3, 0, 2, 0xFEFF);
    declare_register(kBiosControl, 0, 1, 0x0F);
    declare_register(kRcba, 0, 4, kRcbaWritable);
    reset_config();
}

void Ich9Lpc::enable_power_management(uint16_t first_port) {
    config_write(kPmBase, 4, first_port);
    config_write(kAcpiControl, 1, kAcpiEnable);
}

void Ich9Lpc::set_pirq(unsigned pirq, unsigned irq) {
    config_write(pirq_register(pirq), 1, irq);
}

void Ich9Lpc::reset() {
    reset_config();
    apply();
}

Result<void> Ich9Lpc::restore(StateReader& reader) {
    auto restored = restore_config(reader);
    apply();
    return restored;
}

void Ich9Lpc::on_config_written(uint16_t offset, unsigned size) {
    if (pci::touches(offset, size, kPmBase, 5) || pci::touches(offset, size, kPirqA, 12)) apply();
}

std::optional<uint16_t> Ich9Lpc::power_management() const {
    if ((config_value<uint8_t>(kAcpiControl) & kAcpiEnable) == 0) return std::nullopt;
    return static_cast<uint16_t>(config_value<uint32_t>(kPmBase) & kPmBaseWritable);
}

std::optional<unsigned> Ich9Lpc::pirq(unsigned index) const {
    const auto route = config_value<uint8_t>(pirq_register(index));
    const unsigned irq = route & kIrq;
    if ((route & kNotRouted) != 0 || !may_be_routed(irq)) return std::nullopt;
    return irq;
}

void Ich9Lpc::apply() {
    board_.map_power_management(power_management());
    for (unsigned index = 0; index < kPirqs; ++index)
        board_.route_pirq(index, pirq(index));
}

}  // namespace banyan
