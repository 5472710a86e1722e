#include "devices/chipset/acpi_pm.hpp"

#include <array>

#include "devices/chipset/acpi_pm_regs.hpp"
#include "devices/chipset/acpi_pm_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"
#include "support/log.hpp"

namespace banyan {

using namespace acpi;

namespace {

constexpr uint16_t kSmiDataPort = AcpiPm::kSmiCommandPort + 1;
constexpr std::array<PortRange, 2> kFixedPorts{
    {{AcpiPm::kSmiCommandPort, 2}, {AcpiPm::kResetPort, 1}}};
constexpr std::array<PortRange, 5> kPmPorts{{{AcpiPm::kPm1EventPort, 6},
                                             {AcpiPm::kPmTimerPort, 4},
                                             {AcpiPm::kGpe0Port, 4},
                                             kFixedPorts[0],
                                             kFixedPorts[1]}};

// SMI_EN of an ICH9 (Intel document 316972, section 13.8.3.9), as firmware leaves it that has set
// up system management mode: there is none, and firmware does not try.
constexpr uint32_t kSmiEnabled = 1U << 5;  // APMC_EN

// Section 4.8.3.3: a 24-bit counter; TMR_STS is set whenever its highest bit changes.
constexpr unsigned kTimerBits = 24;
constexpr unsigned kHalfPeriodShift = kTimerBits - 1;
// 300 years; saved numbers beyond it are refused, so that their nanoseconds fit 64 bits.
constexpr uint64_t kMaxHalf = uint64_t{1} << 32;

constexpr uint8_t byte_of(uint32_t value, unsigned n) {
    return static_cast<uint8_t>(value >> (8 * n));
}

constexpr uint16_t with_byte(uint16_t value, unsigned n, uint8_t byte) {
    const unsigned shift = 8 * n;
    return static_cast<uint16_t>((value & ~(0xFFU << shift)) | (unsigned{byte} << shift));
}

// Status bits are cleared by writing ones.
constexpr uint16_t cleared(uint16_t value, unsigned n, uint8_t byte) {
    return static_cast<uint16_t>(value & ~(unsigned{byte} << (8 * n)));
}

}  // namespace

AcpiPm::AcpiPm(const Wiring& wiring)
    : clock_(wiring.clock),
      sci_(wiring.sci),
      machine_(wiring.machine),
      timer_(wiring.timers.create_timer(*this, 0)) {
    state_.seen_half = timer_count() >> kHalfPeriodShift;
}

std::span<const PortRange> AcpiPm::fixed_ports() {
    return kFixedPorts;
}

std::span<const PortRange> AcpiPm::port_ranges() const {
    return kPmPorts;
}

void AcpiPm::reset() {
    state_ = {};
    state_.seen_half = timer_count() >> kHalfPeriodShift;
    timer_->cancel();
    sci_.deassert();
}

// In two parts, because the product overflows 64 bits.
uint64_t AcpiPm::timer_count() const {
    const uint64_t now = clock_.now_ns();
    return now / kNsPerSecond * kPmTimerHz + now % kNsPerSecond * kPmTimerHz / kNsPerSecond;
}

// Registers may be accessed by bytes (section 4.8.3, "Register accesses"), so they are; only the
// timer is read at once.
IoStatus AcpiPm::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (port >= kPmTimerPort && port < kPmTimerPort + 4) {
        value = static_cast<uint32_t>(timer_count() & mask(kTimerBits - 1, 0)) >>
                (8 * (port - kPmTimerPort));
        return IoStatus::ok;
    }
    update_timer_status();
    value = 0;
    for (unsigned i = 0; i < size; ++i) {
        uint8_t byte = 0;
        if (!read_byte(static_cast<uint16_t>(port + i), byte)) return IoStatus::bad_size;
        value |= uint32_t{byte} << (8 * i);
    }
    return IoStatus::ok;
}

IoStatus AcpiPm::port_write(uint16_t port, unsigned size, uint32_t value) {
    update_timer_status();
    for (unsigned i = 0; i < size; ++i) {
        if (!write_byte(static_cast<uint16_t>(port + i), byte_of(value, i)))
            return IoStatus::bad_size;
    }
    update_sci();
    return IoStatus::ok;
}

bool AcpiPm::read_byte(uint16_t port, uint8_t& value) {
    switch (port) {
        case kPm1EventPort:
        case kPm1EventPort + 1: value = byte_of(state_.status, port & 1U); return true;
        case kPm1EventPort + 2:
        case kPm1EventPort + 3: value = byte_of(state_.enable, port & 1U); return true;
        case kPm1ControlPort:
        case kPm1ControlPort + 1: value = byte_of(state_.control, port & 1U); return true;
        case kGpe0Port:
        case kGpe0Port + 1: value = byte_of(state_.gpe_status, port & 1U); return true;
        case kGpe0Port + 2:
        case kGpe0Port + 3: value = byte_of(state_.gpe_enable, port & 1U); return true;
        case kSmiEnablePort:
        case kSmiEnablePort + 1:
        case kSmiEnablePort + 2:
        case kSmiEnablePort + 3: value = byte_of(kSmiEnabled, port & 3U); return true;
        case kSmiCommandPort: value = state_.smi_command; return true;
        case kSmiDataPort: value = state_.smi_data; return true;
        case kResetPort: value = state_.reset_control; return true;
        default: return false;
    }
}

bool AcpiPm::write_byte(uint16_t port, uint8_t value) {
    const unsigned n = port & 1U;
    switch (port) {
        case kPm1EventPort:
        case kPm1EventPort + 1: state_.status = cleared(state_.status, n, value); return true;
        case kPm1EventPort + 2:
        case kPm1EventPort + 3:
            state_.enable = with_byte(state_.enable, n, value) & pm1::kEnable;
            return true;
        case kPm1ControlPort:
            state_.control = static_cast<uint16_t>((state_.control & ~control::BM_RLD) |
                                                   (value & control::BM_RLD));
            return true;
        case kPm1ControlPort + 1: write_control_high(value); return true;
        case kPmTimerPort:
        case kPmTimerPort + 1:
        case kPmTimerPort + 2:
        case kPmTimerPort + 3:  // read only
        case kSmiEnablePort:
        case kSmiEnablePort + 1:
        case kSmiEnablePort + 2:
        case kSmiEnablePort + 3: return true;
        case kGpe0Port:
        case kGpe0Port + 1: state_.gpe_status = cleared(state_.gpe_status, n, value); return true;
        case kGpe0Port + 2:
        case kGpe0Port + 3: state_.gpe_enable = with_byte(state_.gpe_enable, n, value); return true;
        case kSmiCommandPort: write_smi_command(value); return true;
        case kSmiDataPort: state_.smi_data = value; return true;
        case kResetPort: write_reset_control(value); return true;
        default: return false;
    }
}

// Section 4.8.3.2.1: SLP_EN starts the transition to the state that SLP_TYP names; it always reads
// 0. The DSDT offers S5 alone.
void AcpiPm::write_control_high(uint8_t value) {
    const auto written = static_cast<uint16_t>(value << 8);
    state_.control =
        static_cast<uint16_t>((state_.control & ~control::SLP_TYP) | (written & control::SLP_TYP));
    if ((written & control::SLP_EN) == 0) return;
    const auto type =
        static_cast<uint8_t>((written & control::SLP_TYP) >> control::kSleepTypeShift);
    if (type == kSleepTypeS5) {
        machine_.request(MachineEvent::power_off);
    } else {
        LOG_LIMITED(LogLevel::warning, "acpi_pm",
                    "the guest asks for sleep type %u, which does not exist", type);
    }
}

// What firmware's SMI handler does for the FADT's ACPI_ENABLE and ACPI_DISABLE: SCI_EN is set or
// cleared.
void AcpiPm::write_smi_command(uint8_t value) {
    state_.smi_command = value;
    if (value == kAcpiEnable) state_.control |= control::SCI_EN;
    if (value == kAcpiDisable) state_.control &= static_cast<uint16_t>(~control::SCI_EN);
}

void AcpiPm::write_reset_control(uint8_t value) {
    state_.reset_control = value & reset_control::kKept;
    if ((value & reset_control::RST_CPU) != 0) machine_.request(MachineEvent::reset);
}

void AcpiPm::update_timer_status() {
    const uint64_t half = timer_count() >> kHalfPeriodShift;
    if (half != state_.seen_half) state_.status |= pm1::TMR;
    state_.seen_half = half;
}

// The SCI follows the events; without SCI_EN they would be for an SMI handler, which there is none
// of. The timer is only needed while it could raise the SCI.
void AcpiPm::update_sci() {
    const bool event =
        (state_.status & state_.enable) != 0 || (state_.gpe_status & state_.gpe_enable) != 0;
    sci_.set(event && (state_.control & control::SCI_EN) != 0);
    if ((state_.enable & ~state_.status & pm1::TMR) == 0) return timer_->cancel();
    const uint64_t next = (state_.seen_half + 1) << kHalfPeriodShift;
    timer_->arm(next / kPmTimerHz * kNsPerSecond +
                (next % kPmTimerHz * kNsPerSecond + kPmTimerHz - 1) / kPmTimerHz);
}

void AcpiPm::on_timer(unsigned /*cookie*/) {
    update_timer_status();
    update_sci();
}

void AcpiPm::press_power_button() {
    state_.status |= pm1::PWRBTN;
    update_sci();
}

void AcpiPm::raise_general_event(unsigned index) {
    BANYAN_ASSERT(index < 16);
    state_.gpe_status |= bit<uint16_t>(index);
    update_sci();
}

void AcpiPm::save(StateWriter& writer) const {
    AcpiPmStateV1 saved;
    saved.status = state_.status;
    saved.enable = state_.enable;
    saved.control = state_.control;
    saved.gpe_status = state_.gpe_status;
    saved.gpe_enable = state_.gpe_enable;
    saved.smi_command = state_.smi_command;
    saved.smi_data = state_.smi_data;
    saved.reset_control = state_.reset_control;
    saved.seen_half = state_.seen_half;
    writer.section(saved);
}

Result<void> AcpiPm::restore(StateReader& reader) {
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> AcpiPm::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<AcpiPmStateV1>());
    const bool valid = (saved.status & ~pm1::kStatus) == 0 && (saved.enable & ~pm1::kEnable) == 0 &&
                       (saved.control & ~(control::kKept | control::SCI_EN)) == 0 &&
                       (saved.reset_control & ~reset_control::kKept) == 0 &&
                       saved.seen_half <= kMaxHalf;
    if (!valid)
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'acpi_pm' is impossible");
    state_ = {.status = saved.status,
              .enable = saved.enable,
              .control = saved.control,
              .gpe_status = saved.gpe_status,
              .gpe_enable = saved.gpe_enable,
              .smi_command = saved.smi_command,
              .smi_data = saved.smi_data,
              .reset_control = saved.reset_control,
              .seen_half = saved.seen_half};
    update_sci();
    return {};
}

}  // namespace banyan
