// VgaRegisters: what happens at the VGA's ports 3B0h..3DFh.
//
// Accesses are of one byte: of wider ones the bus makes several, as the ISA bus does.
#pragma once

#include <cstdint>

#include "devices/display/vga_state.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"

namespace banyan {

class VgaRegisters {
public:
    // `state` is the device's and outlives this.
    VgaRegisters(VgaState& state, const Clock& clock) : state_(state), clock_(clock) {}

    IoStatus read(uint16_t port, uint8_t& value);
    IoStatus write(uint16_t port, uint8_t value);

private:
    bool decodes(uint16_t port) const;
    uint8_t read_data(uint16_t port);
    uint8_t read_status1();
    uint8_t read_dac();
    uint8_t read_crtc() const;
    void write_attribute(uint8_t value);
    void write_crtc(uint8_t value);
    void write_dac(uint8_t value);

    VgaState& state_;
    const Clock& clock_;
};

// A state that no sequence of writes leads to is refused.
bool is_possible(const VgaState& state);

// The number of the last of `name`'s 10-bit vertical values.
unsigned vertical_total(const VgaState& state);
unsigned vertical_display_end(const VgaState& state);
unsigned vertical_retrace_start(const VgaState& state);
unsigned line_compare(const VgaState& state);

}  // namespace banyan
