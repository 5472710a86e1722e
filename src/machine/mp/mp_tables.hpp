// The MP floating pointer structure and the configuration table behind it (Intel MultiProcessor
// Specification 1.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vm/address.hpp"

namespace banyan::mp {

// INTx of a PCI device: pin 0 is INTA#.
struct PciInterrupt {
    uint8_t device = 0;
    uint8_t pin = 0;
    uint8_t input = 0;  // of the IO-APIC
};

struct MachineDescription {
    unsigned cpu_count = 1;  // their APIC ids are 0, 1, ...
    uint32_t local_apic = 0;
    uint32_t io_apic = 0;
    uint8_t io_apic_id = 0;
    uint8_t sci = 9;  // the ISA interrupt that is level-triggered
    std::vector<PciInterrupt> pci;
};

// Both as one piece to be put at `base`: a multiple of 16 where systems look (section 4), below
// 1 MiB. At most kMaxCpus.
std::vector<std::byte> build_tables(const MachineDescription& machine, Gpa base);
inline constexpr unsigned kMaxCpus = 255;

}  // namespace banyan::mp
