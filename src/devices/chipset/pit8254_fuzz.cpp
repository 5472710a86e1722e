// Random register accesses while time passes.
#include "devices/chipset/pit8254.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq irq;
    Pit8254 pit({clock, timers, irq.line()});

    FuzzBytes bytes(data, size);
    fuzz_device(bytes, pit, timers, {});
    return 0;
}
