// Random register accesses, in memory and in configuration space, while time passes.
#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "devices/watchdog/i6300esb.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    constexpr uint64_t kBase = 0xC000'0000;
    FakeClock clock;
    FakeTimerService timers(clock);
    FakeBarMapper mapper;
    RecordingMachineControl machine;
    I6300Esb watchdog(MachineEvent::reset, {mapper, clock, timers, machine});

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {
        const uint8_t what = bytes.u8();
        watchdog.set_bar_address(0, kBase);
        watchdog.enable_decoding();
        switch (what % 4) {
            case 0: watchdog.config_write(0x68, 1, bytes.u8()); break;
            case 1: watchdog.config_write(0x60, 2, bytes.u16()); break;
            case 2: (void)mapper.read(kBase + (what >> 4 & 12U), 4); break;
            default:
                (void)mapper.write(kBase + 12, 2, 0x80);
                (void)mapper.write(kBase + 12, 2, 0x86);
                (void)mapper.write(kBase + (what >> 4 & 12U), 4, bytes.u32());
        }
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, watchdog, timers, options);
    return 0;
}
