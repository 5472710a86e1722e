#include "devices/serial/uart16550.hpp"

#include <algorithm>

#include "devices/serial/uart16550_regs.hpp"
#include "devices/serial/uart16550_state.hpp"
#include "snapshot/state.hpp"

namespace banyan {

using namespace uart;

namespace {

constexpr uint16_t kDivisor9600 = 12;  // undefined after power-on; what firmware leaves

constexpr uint8_t character_of(uint16_t received) {
    return static_cast<uint8_t>(received);
}
constexpr uint8_t errors_of(uint16_t received) {
    return static_cast<uint8_t>(received >> 8);
}

}  // namespace

Uart16550::Uart16550(const Wiring& wiring)
    : range_{wiring.base, kRegisterCount},
      out_(wiring.out),
      source_(wiring.source),
      irq_(wiring.irq) {
    state_.divisor = kDivisor9600;
}

void Uart16550::reset() {
    state_ = {};
    state_.divisor = kDivisor9600;
    update_irq();
}

IoStatus Uart16550::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    const size_t room = receive_room();
    value = read_register(static_cast<uint16_t>(port - range_.first));
    if (room == 0 && receive_room() != 0 && source_ != nullptr) source_->receive_room_available();
    return IoStatus::ok;
}

IoStatus Uart16550::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    const size_t room = receive_room();
    write_register(static_cast<uint16_t>(port - range_.first), static_cast<uint8_t>(value));
    if (room == 0 && receive_room() != 0 && source_ != nullptr) source_->receive_room_available();
    return IoStatus::ok;
}

uint8_t Uart16550::read_register(uint16_t offset) {
    const bool divisor_access = (state_.lcr & lcr::kDlab) != 0;
    switch (offset) {
        case RBR_THR_DLL: return divisor_access ? static_cast<uint8_t>(state_.divisor) : read_rbr();
        case IER_DLM:
            return divisor_access ? static_cast<uint8_t>(state_.divisor >> 8) : state_.ier;
        case IIR_FCR: return read_iir();
        case LCR: return state_.lcr;
        case MCR: return state_.mcr;
        case LSR: return read_lsr();
        case MSR: return read_msr();
        default: return state_.scratch;
    }
}

void Uart16550::write_register(uint16_t offset, uint8_t value) {
    const bool divisor_access = (state_.lcr & lcr::kDlab) != 0;
    switch (offset) {
        case RBR_THR_DLL:
            if (!divisor_access) return write_thr(value);
            state_.divisor = static_cast<uint16_t>((state_.divisor & 0xFF00) | value);
            return;
        case IER_DLM:
            if (!divisor_access) return write_ier(value);
            state_.divisor = static_cast<uint16_t>((state_.divisor & 0x00FF) | (value << 8));
            return;
        case IIR_FCR: return write_fcr(value);
        case LCR: return write_lcr(value);
        case MCR: return write_mcr(value);
        case LSR:
        case MSR:
            return;  // section 8.4: writing the LSR is for factory tests; the MSR's inputs are pins
        default: state_.scratch = value; return;
    }
}

bool Uart16550::fifos_enabled() const {
    return (state_.fcr & fcr::kEnable) != 0;
}

bool Uart16550::looped() const {
    return (state_.mcr & mcr::kLoop) != 0;
}

// Section 8.5: the receiver FIFO's interrupt trigger level.
size_t Uart16550::trigger_level() const {
    constexpr std::array<uint8_t, 4> kLevels{1, 4, 8, 14};
    return fifos_enabled() ? kLevels[state_.fcr >> 6] : 1;
}

uint8_t Uart16550::read_rbr() {
    if (state_.receiver.empty()) return 0;
    const uint8_t character = character_of(state_.receiver.pop());
    show_errors_at_top();
    update_irq();
    return character;
}

// Section 8.6: only the transmitter's interrupt is reset by reading the IIR, and only if it is the
// one reported.
uint8_t Uart16550::read_iir() {
    const uint8_t cause = interrupt_cause();
    if (cause == iir::kTransmitterEmpty) {
        state_.thre_pending = false;
        update_irq();
    }
    return static_cast<uint8_t>(cause | (fifos_enabled() ? iir::kFifosEnabled : 0));
}

uint8_t Uart16550::read_lsr() {
    uint8_t value = state_.line_errors;
    if (!state_.receiver.empty()) value |= lsr::DR;
    if (state_.transmitter.empty()) value |= lsr::THRE | lsr::TEMT;
    if (fifos_enabled()) {
        bool errors = (state_.line_errors & lsr::kCharacterErrors) != 0;
        for (size_t i = 0; i < state_.receiver.size(); ++i)
            errors |= errors_of(state_.receiver[i]) != 0;
        if (errors) value |= lsr::kFifoError;
    }
    state_.line_errors = 0;
    update_irq();
    return value;
}

uint8_t Uart16550::read_msr() {
    const auto value = static_cast<uint8_t>(modem_inputs() | state_.msr_deltas);
    state_.msr_deltas = 0;
    update_irq();
    return value;
}

// Outside of loopback the peer is always there and ready. Section 8.7: in loopback the modem
// outputs are the inputs.
uint8_t Uart16550::modem_inputs() const {
    if (!looped()) return msr::CTS | msr::DSR | msr::DCD;
    uint8_t inputs = 0;
    if ((state_.mcr & mcr::RTS) != 0) inputs |= msr::CTS;
    if ((state_.mcr & mcr::DTR) != 0) inputs |= msr::DSR;
    if ((state_.mcr & mcr::OUT1) != 0) inputs |= msr::RI;
    if ((state_.mcr & mcr::OUT2) != 0) inputs |= msr::DCD;
    return inputs;
}

// Table IV of section 8.6: the enabled cause of the highest priority.
uint8_t Uart16550::interrupt_cause() const {
    if ((state_.ier & ier::ELSI) != 0 && state_.line_errors != 0) return iir::kLineStatus;
    if ((state_.ier & ier::ERBFI) != 0 && !state_.receiver.empty()) {
        return state_.receiver.size() >= trigger_level() ? iir::kDataAvailable
                                                         : iir::kCharacterTimeout;
    }
    if ((state_.ier & ier::ETBEI) != 0 && state_.thre_pending) return iir::kTransmitterEmpty;
    if ((state_.ier & ier::EDSSI) != 0 && state_.msr_deltas != 0) return iir::kModemStatus;
    return iir::kNone;
}

// The wire falls when a character is written and rises when it has left, as on a line of any speed:
// drivers behind an edge-triggered input need the edge.
void Uart16550::write_thr(uint8_t value) {
    state_.thre_pending = false;
    update_irq();
    if (looped()) {
        receive(value, 0);
        state_.thre_pending = state_.transmitter.empty();
    } else {
        if (!fifos_enabled()) state_.transmitter.clear();  // the holding register is overwritten
        state_.transmitter.push(value);                    // what does not fit in the FIFO is lost
        transmit();
    }
    update_irq();
}

// Section 8.8: enabling the transmitter's interrupt while the transmitter is empty raises it at
// once.
void Uart16550::write_ier(uint8_t value) {
    const bool newly_enabled = (value & ~state_.ier & ier::ETBEI) != 0;
    state_.ier = value & ier::kMask;
    if (newly_enabled && state_.transmitter.empty()) state_.thre_pending = true;
    update_irq();
}

// Section 8.5: both FIFOs are cleared when they are switched on or off; the other bits count only
// while bit 0 is set.
void Uart16550::write_fcr(uint8_t value) {
    const bool enable = (value & fcr::kEnable) != 0;
    const bool toggled = enable != fifos_enabled();
    state_.fcr = enable ? value & fcr::kKept : 0;
    if (toggled || (enable && (value & fcr::kResetReceive) != 0)) {
        state_.receiver.clear();
        state_.line_errors &= lsr::OE;
    }
    if (toggled || (enable && (value & fcr::kResetTransmit) != 0)) {
        if (!state_.transmitter.empty()) state_.thre_pending = true;
        state_.transmitter.clear();
    }
    update_irq();
}

// A break reaches the receiver in loopback; there is no peer to see it otherwise. The word length
// is not applied: a guest that never set it would lose bits that every terminal expects.
void Uart16550::write_lcr(uint8_t value) {
    const bool break_begins = (value & ~state_.lcr & lcr::kSetBreak) != 0;
    state_.lcr = value;
    if (break_begins && looped()) receive(0, lsr::BI);
    update_irq();
}

// Section 8.9: a change of an input sets its delta bit; RI only when it goes away (trailing edge).
void Uart16550::write_mcr(uint8_t value) {
    const uint8_t before = modem_inputs();
    state_.mcr = value & mcr::kMask;
    const uint8_t after = modem_inputs();
    const auto changed = static_cast<uint8_t>(before ^ after);
    auto deltas = static_cast<uint8_t>(changed >> 4);
    if ((after & msr::RI) != 0) deltas &= static_cast<uint8_t>(~msr::TERI);
    state_.msr_deltas |= deltas;
    update_irq();
}

// Section 8.4, overrun: the FIFO keeps what it has and the new character is lost; without FIFOs it
// replaces the old one.
void Uart16550::receive(uint8_t character, uint8_t errors) {
    if (state_.receiver.size() >= depth()) {
        state_.line_errors |= lsr::OE;
        if (fifos_enabled()) return;
        state_.receiver.clear();
    }
    const bool first = state_.receiver.empty();
    state_.receiver.push(static_cast<ReceivedCharacter>(character | (errors << 8)));
    if (first) show_errors_at_top();
}

// Section 8.4: the errors of a character are revealed when it comes to the top of the FIFO.
void Uart16550::show_errors_at_top() {
    if (state_.receiver.empty()) return;
    state_.line_errors |= errors_of(state_.receiver.front());
    state_.receiver.front() = character_of(state_.receiver.front());
}

void Uart16550::transmit() {
    if (state_.transmitter.empty()) return;
    const auto bytes = state_.transmitter.elements();
    const size_t count = state_.transmitter.size();
    const size_t taken = std::min(out_.write(std::span(bytes).first(count)), count);
    for (size_t i = 0; i < taken; ++i)
        state_.transmitter.pop();
    if (state_.transmitter.empty()) state_.thre_pending = true;
}

// The PC wires OUT2 as the gate of the interrupt (IBM PC AT technical reference, serial adapter);
// loopback switches the chip's outputs off (data sheet section 8.7), and OUT2 with them.
void Uart16550::update_irq() {
    const bool gate = (state_.mcr & (mcr::OUT2 | mcr::kLoop)) == mcr::OUT2;
    irq_.set(gate && interrupt_cause() != iir::kNone);
}

size_t Uart16550::receive_room() const {
    if (looped() || state_.receiver.size() >= depth()) return 0;
    return depth() - state_.receiver.size();
}

void Uart16550::on_receive(std::span<const uint8_t> bytes) {
    if (looped()) return;
    for (const uint8_t byte : bytes)
        receive(byte, 0);
    update_irq();
}

void Uart16550::on_writable() {
    transmit();
    update_irq();
}

void Uart16550::save(StateWriter& writer) const {
    Uart16550StateV1 saved;
    saved.ier = state_.ier;
    saved.fcr = state_.fcr;
    saved.lcr = state_.lcr;
    saved.mcr = state_.mcr;
    saved.msr_deltas = state_.msr_deltas;
    saved.scratch = state_.scratch;
    saved.divisor = state_.divisor;
    saved.line_errors = state_.line_errors;
    saved.thre_pending = state_.thre_pending;
    saved.receiver = state_.receiver.elements();
    saved.receiver_count = static_cast<uint8_t>(state_.receiver.size());
    saved.transmitter = state_.transmitter.elements();
    saved.transmitter_count = static_cast<uint8_t>(state_.transmitter.size());
    writer.section(saved);
}

namespace {

bool valid(const Uart16550StateV1& s) {
    const bool fifos = (s.fcr & fcr::kEnable) != 0;
    const size_t depth = fifos ? s.receiver.size() : 1;
    return (s.ier & ~ier::kMask) == 0 && (s.fcr & ~fcr::kKept) == 0 && (fifos || s.fcr == 0) &&
           (s.mcr & ~mcr::kMask) == 0 && (s.msr_deltas & ~msr::kDeltas) == 0 &&
           (s.line_errors & ~(lsr::OE | lsr::kCharacterErrors)) == 0 && s.receiver_count <= depth &&
           s.transmitter_count <= depth;
}

}  // namespace

Result<void> Uart16550::restore(StateReader& reader) {
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> Uart16550::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<Uart16550StateV1>());
    if (!valid(saved))
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'uart16550' is impossible");
    state_ = {};
    state_.ier = saved.ier;
    state_.fcr = saved.fcr;
    state_.lcr = saved.lcr;
    state_.mcr = saved.mcr;
    state_.msr_deltas = saved.msr_deltas;
    state_.scratch = saved.scratch;
    state_.divisor = saved.divisor;
    state_.line_errors = saved.line_errors;
    state_.thre_pending = saved.thre_pending;
    for (size_t i = 0; i < saved.receiver_count; ++i)
        state_.receiver.push(saved.receiver[i]);
    for (size_t i = 0; i < saved.transmitter_count; ++i)
        state_.transmitter.push(saved.transmitter[i]);
    update_irq();
    return {};
}

}  // namespace banyan
