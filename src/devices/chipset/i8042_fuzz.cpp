// Random register accesses, keys and movements.
#include "devices/chipset/i8042.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq irq;
    RecordingMachineControl machine;
    I8042 controller({irq.line(1), irq.line(12), machine, clock, timers});

    FuzzBytes bytes(data, size);
    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& rest) {
        if ((rest.u8() & 1) != 0) {
            const uint8_t key = rest.u8();
            return controller.key({key}, (rest.u8() & 1) != 0);
        }
        PointerEvent event;
        event.dx = static_cast<int32_t>(rest.u32());
        event.dy = static_cast<int16_t>(rest.u16());
        event.wheel = static_cast<int8_t>(rest.u8());
        event.buttons = rest.u8();
        controller.pointer(event);
    };
    fuzz_device(bytes, controller, timers, options);
    return 0;
}
