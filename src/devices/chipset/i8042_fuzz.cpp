// Random register accesses.
#include "devices/chipset/i8042.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq irq;
    RecordingMachineControl machine;
    I8042 controller({irq.line(1), irq.line(12), machine});

    FuzzBytes bytes(data, size);
    fuzz_device(bytes, controller, timers, {});
    return 0;
}
