#include "devices/chipset/cmos_rtc_calendar.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace banyan {

namespace {

constexpr int64_t kDay = 86400;
constexpr uint8_t kPm = 0x80;
constexpr uint8_t kDontCare = 0xC0;

constexpr int64_t floor_div(int64_t a, int64_t b) {
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

// 0 is Sunday; 1970-01-01 was a Thursday.
unsigned weekday_of(int64_t days) {
    return static_cast<unsigned>(((days + 4) % 7 + 7) % 7);
}

// One alarm register: nothing (impossible value), everything, or one value.
struct Match {
    bool any = false;
    std::optional<unsigned> value;

    bool possible() const { return any || value.has_value(); }
    // The first matching number in [from, limit), or `limit`.
    unsigned first(unsigned from, unsigned limit) const {
        if (any) return std::min(from, limit);
        return *value >= from ? *value : limit;
    }
};

Match match(uint8_t raw, unsigned decoded, unsigned limit) {
    if (raw >= kDontCare) return {true, std::nullopt};
    if (decoded >= limit) return {false, std::nullopt};
    return {false, decoded};
}

}  // namespace

uint8_t CmosTimeFormat::encode(unsigned value) const {
    return static_cast<uint8_t>(binary ? value : ((value / 10 % 10) << 4 | value % 10));
}

unsigned CmosTimeFormat::decode(uint8_t raw) const {
    return binary ? raw : (raw >> 4) * 10U + (raw & 0xFU);
}

uint8_t CmosTimeFormat::encode_hour(unsigned hour) const {
    if (hours24) return encode(hour);
    const unsigned hour12 = hour % 12 == 0 ? 12 : hour % 12;
    return static_cast<uint8_t>(encode(hour12) | (hour >= 12 ? kPm : 0));
}

unsigned CmosTimeFormat::decode_hour(uint8_t raw) const {
    if (hours24) return decode(raw);
    const unsigned hour12 = decode(raw & static_cast<uint8_t>(~kPm)) % 12;
    return hour12 + ((raw & kPm) != 0 ? 12 : 0);
}

CmosTimeRegisters CmosTimeFormat::from_seconds(int64_t seconds, unsigned weekday_shift) const {
    const int64_t days = floor_div(seconds, kDay);
    const auto in_day = static_cast<unsigned>(seconds - days * kDay);
    const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
    const auto year = static_cast<unsigned>(std::max(static_cast<int>(date.year()), 0));
    CmosTimeRegisters r;
    r.raw[r.kSeconds] = encode(in_day % 60);
    r.raw[r.kMinutes] = encode(in_day / 60 % 60);
    r.raw[r.kHours] = encode_hour(in_day / 3600);
    r.raw[r.kWeekday] = encode((weekday_of(days) + weekday_shift) % 7 + 1);
    r.raw[r.kDay] = encode(static_cast<unsigned>(date.day()));
    r.raw[r.kMonth] = encode(static_cast<unsigned>(date.month()));
    r.raw[r.kYear] = encode(year % 100);
    r.raw[r.kCentury] = encode(year / 100);
    return r;
}

int64_t CmosTimeFormat::to_seconds(const CmosTimeRegisters& r) const {
    const unsigned year = decode(r.raw[r.kCentury]) * 100 + decode(r.raw[r.kYear]);
    const unsigned month = std::clamp(decode(r.raw[r.kMonth]), 1U, 12U);
    const std::chrono::year_month_day first{std::chrono::year{static_cast<int>(year)},
                                            std::chrono::month{month}, std::chrono::day{1}};
    const int64_t days = std::chrono::sys_days{first}.time_since_epoch().count() +
                         decode(r.raw[r.kDay]) - int64_t{1};
    return days * kDay + decode_hour(r.raw[r.kHours]) * int64_t{3600} +
           decode(r.raw[r.kMinutes]) * int64_t{60} + decode(r.raw[r.kSeconds]);
}

unsigned CmosTimeFormat::weekday_shift(const CmosTimeRegisters& r) const {
    const unsigned written = decode(r.raw[r.kWeekday]);
    if (written < 1 || written > 7) return 0;
    return (written - 1 + 7 - weekday_of(floor_div(to_seconds(r), kDay))) % 7;
}

// Looks at the hours of the next day and a bit in turn; within an hour minutes and seconds are
// found directly.
uint64_t CmosAlarm::seconds_until(int64_t seconds, const CmosTimeFormat& format) const {
    const Match hours = match(hour, format.decode_hour(hour), 24);
    const Match minutes = match(minute, format.decode(minute), 60);
    const Match secs = match(second, format.decode(second), 60);
    if (!hours.possible() || !minutes.possible() || !secs.possible()) return kNever;

    const auto start = static_cast<unsigned>(seconds + 1 - floor_div(seconds + 1, kDay) * kDay);
    for (unsigned ahead = 0; ahead <= 24; ++ahead) {
        const unsigned h = (start / 3600 + ahead) % 24;
        if (hours.first(h, 24) != h) continue;
        unsigned m = ahead == 0 ? start / 60 % 60 : 0;
        unsigned s = ahead == 0 ? start % 60 : 0;
        if (minutes.first(m, 60) != m || secs.first(s, 60) == 60) {
            const bool minute_is_over = minutes.first(m, 60) == m;
            m = minutes.first(minute_is_over ? m + 1 : m, 60);
            s = 0;
        }
        if (m >= 60) continue;
        const uint64_t found =
            (start / 3600 + ahead) * uint64_t{3600} + m * uint64_t{60} + secs.first(s, 60);
        return found - start + 1;
    }
    return kNever;
}

}  // namespace banyan
