// Random register accesses with characters coming in and a back end that stalls.
#include "devices/serial/uart16550.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq irq;
    RecordingChar out;
    FakeCharSource source;
    Uart16550 uart({out, &source, irq.line(), 0x3F8});
    source.connect(uart);

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {
        const uint8_t what = bytes.u8();
        if ((what & 1U) != 0) {
            source.send(std::string(what >> 1, 'x'));
        } else {
            out.set_room(what >> 1);
            uart.on_writable();
        }
        out.clear();
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, uart, timers, options);
    return 0;
}
