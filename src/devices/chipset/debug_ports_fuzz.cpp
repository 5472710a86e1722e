// Random accesses to the debug exit port, the debug console and pvpanic.
#include "devices/chipset/debug_ports.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingMachineControl machine;
    RecordingChar out;
    DebugExit exit({machine, 0xF4});
    DebugCon console({out});
    PvPanic panic({machine});

    FuzzBytes bytes(data, size);
    Device* const devices[] = {&exit, &console, &panic};
    fuzz_device(bytes, *devices[bytes.u8() % 3], timers, {});
    return 0;
}
