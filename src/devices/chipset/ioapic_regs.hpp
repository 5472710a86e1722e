// Registers of the IO-APIC: Intel 82093AA data sheet, section 3.
#pragma once

#include <cstdint>

#include "devices/chipset/apic_bus.hpp"
#include "support/reg.hpp"

namespace banyan {

// Offsets in the memory range.
enum class IoApicMmio : uint64_t {
    ioregsel = 0x00,  // rw
    iowin = 0x10,     // rw
    eoi = 0x40,       // -w, from version 20H
};

// Indices for IOREGSEL.
enum class IoApicIndex : uint8_t {
    id = 0x00,                 // rw
    version = 0x01,            // r-
    arbitration = 0x02,        // r-
    first_redirection = 0x10,  // rw, two for each input: low half, high half
};

// Redirection table entry, section 3.2.4.
struct Rte : Reg<uint64_t> {
    using Destination = Field<Rte, 63, 56, uint8_t>;
    // Bits 14..8 of the destination id: KVM_FEATURE_MSI_EXT_DEST_ID. Reserved on the 82093AA.
    using ExtendedDestination = Field<Rte, 55, 49, uint8_t>;
    using Masked = Field<Rte, 16, 16, bool>;
    using Trigger = Field<Rte, 15, 15, TriggerMode>;
    using RemoteIrr = Field<Rte, 14, 14, bool>;  // read only
    using Polarity = Field<Rte, 13, 13, bool>;
    using DeliveryStatus = Field<Rte, 12, 12, bool>;  // read only; messages never wait: 0
    using LogicalDestination = Field<Rte, 11, 11, bool>;
    using Mode = Field<Rte, 10, 8, DeliveryMode>;
    using Vector = Field<Rte, 7, 0, uint8_t>;

    static constexpr uint64_t kWritable = mask(63, 49) | mask(16, 15) | mask(13, 13) | mask(11, 0);
    static constexpr uint64_t kPowerOn = mask(16, 16);
};

}  // namespace banyan
