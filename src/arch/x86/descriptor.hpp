// Segment descriptors. Source: Intel SDM vol. 3 sections 3.4.5 (descriptors), 3.5 (system
// types), 5.8.3 (gates).
#pragma once

#include <cstdint>

#include "support/reg.hpp"

namespace banyan::x86 {

// The access byte and the flag nibble of a descriptor, as bits 40..55 of the 8 bytes (bits 8..11 of
// this value, the high limit bits, are zero): the form in which AMD's VMCB and Intel's VMCS also
// keep them.
struct Attributes : Reg<uint16_t> {
    using Type = Field<Attributes, 3, 0, uint8_t>;
    using Accessed = Field<Attributes, 0, 0, bool>;
    using Writable = Field<Attributes, 1, 1, bool>;    // data; for code: readable
    using ExpandDown = Field<Attributes, 2, 2, bool>;  // data; for code: conforming
    using Code = Field<Attributes, 3, 3, bool>;
    using CodeOrData = Field<Attributes, 4, 4, bool>;  // S
    using Dpl = Field<Attributes, 6, 5, uint8_t>;
    using Present = Field<Attributes, 7, 7, bool>;
    using Available = Field<Attributes, 12, 12, bool>;
    using Long = Field<Attributes, 13, 13, bool>;
    using Big = Field<Attributes, 14, 14, bool>;  // D/B
    using Granular = Field<Attributes, 15, 15, bool>;

    friend constexpr bool operator==(Attributes a, Attributes b) { return a.raw == b.raw; }
};

// Types of system descriptors.
enum class SystemType : uint8_t {
    tss16_available = 1,
    ldt = 2,
    tss16_busy = 3,
    call_gate16 = 4,
    task_gate = 5,
    interrupt_gate16 = 6,
    trap_gate16 = 7,
    tss_available = 9,  // 32-bit, or 64-bit in long mode
    tss_busy = 11,
    call_gate = 12,
    interrupt_gate = 14,
    trap_gate = 15,
};

// A segment register with its hidden part. `limit` is in bytes, granularity applied. An unusable
// segment (null selector) has attributes 0.
struct SegmentRegister {
    uint16_t selector = 0;
    Attributes attributes{};
    uint32_t limit = 0;
    uint64_t base = 0;

    uint8_t rpl() const { return selector & 3U; }
    uint8_t dpl() const { return attributes.get<Attributes::Dpl>(); }
    bool usable() const { return attributes.get<Attributes::Present>(); }
    friend bool operator==(const SegmentRegister&, const SegmentRegister&) = default;
};

// The first 8 bytes of a descriptor in a GDT, LDT or IDT.
struct Descriptor : Reg<uint64_t> {
    // The 16 attribute bits with the limit nibble masked out.
    constexpr Attributes attributes() const {
        return {static_cast<uint16_t>((raw >> 40) & 0xF0FF)};
    }
    constexpr uint32_t base() const {
        return static_cast<uint32_t>(((raw >> 16) & 0xFFFFFF) | ((raw >> 32) & 0xFF000000));
    }
    constexpr uint32_t limit() const {
        const uint32_t value = static_cast<uint32_t>((raw & 0xFFFF) | ((raw >> 32) & 0xF0000));
        return attributes().get<Attributes::Granular>() ? (value << 12) | 0xFFF : value;
    }
    constexpr SystemType system_type() const {
        return static_cast<SystemType>(attributes().get<Attributes::Type>());
    }
    // Gates.
    constexpr uint32_t gate_offset() const {
        return static_cast<uint32_t>((raw & 0xFFFF) | ((raw >> 32) & 0xFFFF0000));
    }
    constexpr uint16_t gate_selector() const { return static_cast<uint16_t>(raw >> 16); }
    constexpr uint8_t gate_ist() const { return static_cast<uint8_t>((raw >> 32) & 7); }
    constexpr uint8_t gate_parameters() const { return static_cast<uint8_t>((raw >> 32) & 31); }

    constexpr SegmentRegister to_register(uint16_t selector) const {
        return {selector, attributes(), limit(), base()};
    }
};

struct TableRegister {
    uint64_t base = 0;
    uint16_t limit = 0;
};

}  // namespace banyan::x86
