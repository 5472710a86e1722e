// Random register accesses with inputs that change and a CPU that acknowledges.
#include "devices/chipset/pic8259.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq cpu;
    Pic8259Pair pic({cpu.line()});

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {
        const uint8_t what = bytes.u8();
        if ((what & 0xC0U) == 0xC0U) {
            const bool pending = pic.pending();
            const auto vector = pic.acknowledge();
            BANYAN_ASSERT(!pending || vector.has_value());
        } else {
            pic.set_irq(what & 0x1FU, (what & 0x20U) != 0);
        }
        BANYAN_ASSERT(pic.pending() == cpu.level());
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, pic, timers, options);
    return 0;
}
