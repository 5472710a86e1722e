// The registers that GDB sees, in the order of their numbers: those that it knows of x86-64 by
// themselves (GDB manual, appendix G.5.5 "i386 Features"), and the system's.
//
// A register's value is its bytes, the lowest first. The description is that of 64-bit mode,
// whatever the mode is, as GDB cannot change it on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/vm_api.hpp"

namespace banyan::gdb {

enum class RegisterKind : uint8_t {
    general,
    instruction_pointer,
    flags,
    selector,
    x87,          // ST(i)
    x87_control,  // FCW, FSW, FTW, FCS, FIP, FDS, FDP, FOP
    xmm,
    mxcsr,
    segment_base,  // of FS and GS
    system,
    ymm_high,  // bits 255:128
};

struct Register {
    std::string name;
    RegisterKind kind;
    uint8_t index;  // among its kind
    uint8_t size;   // bytes
    std::string_view type;
    std::string_view group = {};  // empty: by its type
};

// All of them.
const std::vector<Register>& registers();
// The sum of their sizes.
size_t registers_size();

// Components of the vector state that are in their initial state are written out (XSTATE_BV, Intel
// SDM vol. 1 section 13.4.2): read_register() wants that.
void write_out_initial_state(x86::RegisterState& state);

// `to` and `from` have the register's size.
void read_register(const x86::RegisterState& state, const Register& reg, std::span<std::byte> to);
// What has this value already may always be written. False: the register cannot be written, or not
// with this value.
bool write_register(x86::RegisterState& state, const Register& reg,
                    std::span<const std::byte> from);

}  // namespace banyan::gdb
