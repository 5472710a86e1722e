// Random register accesses with events from outside.
#include "devices/chipset/acpi_pm.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq irq;
    RecordingMachineControl machine;
    AcpiPm pm({clock, timers, irq.line(), machine});

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {
        const uint8_t what = bytes.u8();
        if (what < 16) {
            pm.raise_general_event(what);
        } else {
            pm.press_power_button();
        }
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, pm, timers, options);
    return 0;
}
