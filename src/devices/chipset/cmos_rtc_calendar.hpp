// The CMOS clock's calendar: dates as seconds, and the formats of its registers.
#pragma once

#include <array>
#include <cstdint>

namespace banyan {

// The time registers as they are written and read: seconds, minutes, hours, day of week, day,
// month, year, century.
struct CmosTimeRegisters {
    enum Index : uint8_t {
        kSeconds,
        kMinutes,
        kHours,
        kWeekday,
        kDay,
        kMonth,
        kYear,
        kCentury,
        kCount
    };
    std::array<uint8_t, kCount> raw{};
};

// BCD or binary, 12 or 24 hours: register B's DM and 24/12 bits.
struct CmosTimeFormat {
    bool binary = false;
    bool hours24 = true;

    uint8_t encode(unsigned value) const;
    unsigned decode(uint8_t raw) const;
    uint8_t encode_hour(unsigned hour) const;
    unsigned decode_hour(uint8_t raw) const;

    // `seconds` since 1970-01-01 as the registers show it; weekdays count from Sunday = 1 and are
    // turned on by `weekday_shift` days.
    CmosTimeRegisters from_seconds(int64_t seconds, unsigned weekday_shift) const;
    // Values that no calendar has (the 40th of January) count on from the beginning of the month.
    int64_t to_seconds(const CmosTimeRegisters& registers) const;
    // The shift by which the day of week that was written differs from the calendar's.
    unsigned weekday_shift(const CmosTimeRegisters& registers) const;
};

// The alarm registers; a value from C0h on matches everything.
struct CmosAlarm {
    static constexpr uint64_t kNever = ~uint64_t{0};

    uint8_t second = 0;
    uint8_t minute = 0;
    uint8_t hour = 0;

    // Seconds from `seconds` until the alarm comes the next time, at least 1; kNever if it cannot.
    uint64_t seconds_until(int64_t seconds, const CmosTimeFormat& format) const;
};

}  // namespace banyan
