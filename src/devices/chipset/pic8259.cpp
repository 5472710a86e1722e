#include "devices/chipset/pic8259.hpp"

#include "devices/chipset/pic8259_regs.hpp"
#include "devices/chipset/pic8259_state.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace pic;

// The inputs are wires that a reset does not change.
void Pic8259::reset() {
    const uint8_t lines = state_.lines;
    state_ = {};
    state_.lines = lines;
}

bool Pic8259::auto_eoi() const {
    return (state_.icw4 & icw4::kAutoEoi) != 0;
}

bool Pic8259::special_fully_nested() const {
    return (state_.icw4 & icw4::kSpecialFullyNested) != 0;
}

bool Pic8259::cascaded(unsigned input) const {
    return role_ == Role::master && input == kCascadeInput && (state_.icw1 & icw1::kSingle) == 0 &&
           has_bit(state_.icw3, kCascadeInput);
}

// A latched edge stays until it is acknowledged, although the data sheet wants the input to stay
// high until then: devices of virtual machines pulse their wires faster than any CPU looks.
void Pic8259::set_input(unsigned input, bool asserted) {
    const uint8_t line = bit<uint8_t>(input);
    if (asserted && (state_.lines & line) == 0 && (state_.elcr & line) == 0) state_.edges |= line;
    state_.lines = static_cast<uint8_t>(asserted ? state_.lines | line : state_.lines & ~line);
}

// In edge mode what was latched; in level mode what the wire says. The slave's wire counts as well
// as its edges, so that no request is lost when the guest initializes only the master.
uint8_t Pic8259::irr() const {
    uint8_t level_inputs = state_.elcr;
    if (role_ == Role::master) level_inputs |= bit<uint8_t>(kCascadeInput);
    return static_cast<uint8_t>(state_.edges | (state_.lines & level_inputs));
}

// The request with the highest priority: priorities descend from the input after the lowest one,
// around the circle.
std::optional<unsigned> Pic8259::highest(uint8_t requests) const {
    for (unsigned i = 1; i <= kInputs; ++i) {
        const unsigned input = (state_.lowest_priority + i) % kInputs;
        if (has_bit(requests, input)) return input;
    }
    return std::nullopt;
}

// "Fully nested mode": only a request above all that are in service gets through. Special mask mode
// takes masked levels out of that comparison; in special fully nested mode the slave may interrupt
// its own service at the master.
std::optional<unsigned> Pic8259::highest_request() const {
    const auto request = highest(static_cast<uint8_t>(irr() & ~state_.imr));
    if (!request) return std::nullopt;
    uint8_t in_service = state_.isr;
    if (state_.special_mask) in_service &= static_cast<uint8_t>(~state_.imr);
    if (special_fully_nested() && cascaded(kCascadeInput))
        in_service &= static_cast<uint8_t>(~bit(kCascadeInput));
    const auto service = highest(in_service);
    if (!service) return request;
    const auto rank = [&](unsigned input) {
        return (input - state_.lowest_priority - 1U) % kInputs;
    };
    if (rank(*request) < rank(*service)) return request;
    return std::nullopt;
}

std::optional<unsigned> Pic8259::acknowledge() {
    const auto request = highest_request();
    if (!request) return std::nullopt;
    const uint8_t level = bit<uint8_t>(*request);
    state_.edges &= static_cast<uint8_t>(~level);
    if (!auto_eoi()) {
        state_.isr |= level;
    } else if (state_.rotate_on_auto_eoi) {
        state_.lowest_priority = static_cast<uint8_t>(*request);
    }
    return request;
}

// The answer to a poll is an acknowledge cycle by software.
uint8_t Pic8259::read_poll() {
    state_.poll = false;
    const auto request = acknowledge();
    return request ? static_cast<uint8_t>(kPollInterrupt | *request) : kSpuriousInput;
}

uint8_t Pic8259::read_command() {
    if (state_.poll) return read_poll();
    return state_.read_isr ? state_.isr : irr();
}

uint8_t Pic8259::read_data() {
    return state_.poll ? read_poll() : state_.imr;
}

void Pic8259::write_command(uint8_t value) {
    if ((value & icw1::kIcw1) != 0) return write_icw1(value);
    if ((value & ocw3::kOcw3) != 0) return write_ocw3(value);
    write_ocw2(value);
}

// "Initialization command words": the edge sense circuit and the mask are cleared, input 7 gets the
// lowest priority, special mask mode ends, reads give the IRR; without ICW4 its functions are zero.
// LTIM (D3) is not there in PCI chipsets: ELCR replaces it.
void Pic8259::write_icw1(uint8_t value) {
    state_.icw1 = value;
    state_.icw4 = 0;
    state_.imr = 0;
    state_.isr = 0;
    state_.edges = 0;
    state_.lowest_priority = kInputs - 1;
    state_.read_isr = false;
    state_.poll = false;
    state_.special_mask = false;
    state_.rotate_on_auto_eoi = false;
    state_.expect = Expect::icw2;
}

void Pic8259::write_data(uint8_t value) {
    const bool icw4_follows = (state_.icw1 & icw1::kIcw4Needed) != 0;
    switch (state_.expect) {
        case Expect::ocw: state_.imr = value; return;
        case Expect::icw2:
            state_.vector_base = value & 0xF8;
            state_.expect = Expect::icw3;
            if ((state_.icw1 & icw1::kSingle) == 0) return;
            break;
        case Expect::icw3: state_.icw3 = value; break;
        case Expect::icw4:
            state_.icw4 = value & icw4::kMask;
            state_.expect = Expect::ocw;
            return;
    }
    state_.expect = icw4_follows ? Expect::icw4 : Expect::ocw;
}

void Pic8259::write_ocw2(uint8_t value) {
    using Command = ocw2::Command;
    const auto level = static_cast<uint8_t>(value & ocw2::kLevel);
    switch (static_cast<Command>(value >> 5)) {
        case Command::clear_rotate_on_auto_eoi: state_.rotate_on_auto_eoi = false; return;
        case Command::set_rotate_on_auto_eoi: state_.rotate_on_auto_eoi = true; return;
        case Command::no_operation: return;
        case Command::set_priority: state_.lowest_priority = level; return;
        case Command::eoi: end_of_interrupt(highest_to_end(), Rotate::no); return;
        case Command::rotate_on_eoi: end_of_interrupt(highest_to_end(), Rotate::yes); return;
        case Command::specific_eoi: end_of_interrupt(level, Rotate::no); return;
        case Command::rotate_on_specific_eoi: end_of_interrupt(level, Rotate::yes); return;
    }
}

// "End of interrupt": in special mask mode a masked level is not ended by a non-specific EOI.
std::optional<unsigned> Pic8259::highest_to_end() const {
    uint8_t in_service = state_.isr;
    if (state_.special_mask) in_service &= static_cast<uint8_t>(~state_.imr);
    return highest(in_service);
}

void Pic8259::end_of_interrupt(std::optional<unsigned> level, Rotate rotate) {
    if (!level) return;
    state_.isr &= static_cast<uint8_t>(~bit(*level));
    if (rotate == Rotate::yes) state_.lowest_priority = static_cast<uint8_t>(*level);
}

void Pic8259::write_ocw3(uint8_t value) {
    if ((value & ocw3::kPoll) != 0) state_.poll = true;
    if ((value & ocw3::kReadRegister) != 0) state_.read_isr = (value & ocw3::kReadIsr) != 0;
    if ((value & ocw3::kSetSpecialMask) != 0)
        state_.special_mask = (value & ocw3::kSpecialMask) != 0;
}

void Pic8259::write_elcr(uint8_t value) {
    state_.elcr = value & level_mask_;
    state_.edges &= static_cast<uint8_t>(~state_.elcr);
}

void Pic8259::save(Pic8259StateV1& saved) const {
    saved.expect = static_cast<uint8_t>(state_.expect);
    saved.icw1 = state_.icw1;
    saved.vector_base = state_.vector_base;
    saved.icw3 = state_.icw3;
    saved.icw4 = state_.icw4;
    saved.imr = state_.imr;
    saved.isr = state_.isr;
    saved.edges = state_.edges;
    saved.lines = state_.lines;
    saved.elcr = state_.elcr;
    saved.lowest_priority = state_.lowest_priority;
    saved.read_isr = state_.read_isr;
    saved.poll = state_.poll;
    saved.special_mask = state_.special_mask;
    saved.rotate_on_auto_eoi = state_.rotate_on_auto_eoi;
}

bool Pic8259::restore(const Pic8259StateV1& saved) {
    const bool known_step = saved.expect == 0 || (saved.expect >= 2 && saved.expect <= 4);
    if (!known_step || (saved.vector_base & 7U) != 0 || (saved.icw4 & ~icw4::kMask) != 0 ||
        (saved.elcr & ~level_mask_) != 0 || (saved.edges & saved.elcr) != 0 ||
        saved.lowest_priority >= kInputs) {
        return false;
    }
    state_.expect = static_cast<Expect>(saved.expect);
    state_.icw1 = saved.icw1;
    state_.vector_base = saved.vector_base;
    state_.icw3 = saved.icw3;
    state_.icw4 = saved.icw4;
    state_.imr = saved.imr;
    state_.isr = saved.isr;
    state_.edges = saved.edges;
    state_.lines = saved.lines;
    state_.elcr = saved.elcr;
    state_.lowest_priority = saved.lowest_priority;
    state_.read_isr = saved.read_isr;
    state_.poll = saved.poll;
    state_.special_mask = saved.special_mask;
    state_.rotate_on_auto_eoi = saved.rotate_on_auto_eoi;
    return true;
}

}  // namespace banyan
