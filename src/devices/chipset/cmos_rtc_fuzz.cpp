// Random register accesses while time passes and the wall clock is changed.
#include "devices/chipset/cmos_rtc.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq irq;
    CmosRtc rtc({clock, timers, irq.line()});

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {
        clock.set_epoch_ns(bytes.u32() * uint64_t{1'000'000'000});
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, rtc, timers, options);
    return 0;
}
