// Registers of the HPET: IA-PC HPET Specification 1.0a, sections 2.3.1 to 2.3.10.
#pragma once

#include <cstdint>

#include "support/reg.hpp"

namespace banyan {

// Offsets; all registers have 64 bits.
enum class HpetRegister : uint64_t {
    gcap_id = 0x000,      // r-
    gen_conf = 0x010,     // rw
    gintr_sta = 0x020,    // rw1c
    main_cnt = 0x0F0,     // rw
    first_timer = 0x100,  // kHpetTimerStride for each timer
};

// Offsets in a timer's block.
enum class HpetTimerRegister : uint64_t {
    config = 0x00,
    comparator = 0x08,
    fsb_route = 0x10,  // value in the low half, address in the high half
};
inline constexpr uint64_t kHpetTimerStride = 0x20;

struct HpetGeneralConfig : Reg<uint64_t> {
    using LegacyReplacement = Field<HpetGeneralConfig, 1, 1, bool>;
    using Enabled = Field<HpetGeneralConfig, 0, 0, bool>;
    static constexpr uint64_t kWritable = 0b11;
};

struct HpetTimerConfig : Reg<uint64_t> {
    using RouteCapability = Field<HpetTimerConfig, 63, 32, uint32_t>;  // read only
    using FsbCapability = Field<HpetTimerConfig, 15, 15, bool>;        // read only
    using FsbEnabled = Field<HpetTimerConfig, 14, 14, bool>;
    using Route = Field<HpetTimerConfig, 13, 9, uint8_t>;
    using Mode32 = Field<HpetTimerConfig, 8, 8, bool>;
    using SetValue = Field<HpetTimerConfig, 6, 6, bool>;
    using Size64Capability = Field<HpetTimerConfig, 5, 5, bool>;    // read only
    using PeriodicCapability = Field<HpetTimerConfig, 4, 4, bool>;  // read only
    using Periodic = Field<HpetTimerConfig, 3, 3, bool>;
    using InterruptEnabled = Field<HpetTimerConfig, 2, 2, bool>;
    using Level = Field<HpetTimerConfig, 1, 1, bool>;

    static constexpr uint64_t kWritable = mask(14, 8) | bit(6) | mask(3, 1);

    // What the comparator compares.
    constexpr uint64_t value_mask() const { return get<Mode32>() ? mask(31, 0) : mask(63, 0); }
};

}  // namespace banyan
