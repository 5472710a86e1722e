#include <cstddef>
#include <cstdint>

#include "devices/chipset/hpet.hpp"
#include "vm/testing/device_fuzz.hpp"
#include "vm/testing/fakes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq ioapic;
    RecordingIrq legacy;
    RecordingMsi msi;
    Hpet hpet({.clock = clock,
               .timers = timers,
               .ioapic = ioapic,
               .irq0 = legacy.line(0),
               .irq8 = legacy.line(8),
               .msi = msi});
    FuzzBytes bytes(data, size);
    const auto other_action = [&](FuzzBytes& more) {
        switch (more.u8() % 4) {
            case 0: hpet.pit_input().set(more.u8() % 2 == 0); break;
            case 1: hpet.rtc_input().set(more.u8() % 2 == 0); break;
            // A comparator that is near, which random numbers seldom are.
            case 2: (void)hpet.mmio_write(0x108U + 0x20U * (more.u8() % 3U), 8, more.u16()); break;
            default: (void)hpet.mmio_write(0x010, 4, more.u8() % 4); break;
        }
    };
    constexpr uint64_t kTimersPerSecond =
        Hpet::kTimers * (1'000'000'000 / Hpet::kMinInterruptPeriodNs);
    fuzz_device(bytes, hpet, timers,
                {.mmio_size = 0x180,
                 .other_action = other_action,
                 .max_timers_per_second = kTimersPerSecond});
    return 0;
}
