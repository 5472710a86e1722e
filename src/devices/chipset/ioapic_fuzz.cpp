#include <cstddef>
#include <cstdint>

#include "devices/chipset/ioapic.hpp"
#include "vm/testing/device_fuzz.hpp"
#include "vm/testing/fakes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingMsi msi;
    IoApic ioapic{{.msi = msi}};
    FuzzBytes bytes(data, size);
    const auto other_action = [&](FuzzBytes& more) {
        switch (more.u8() % 4) {
            case 0:
            case 1: ioapic.set_irq(more.u8() % 26, more.u8() % 2 == 0); break;
            case 2: ioapic.end_of_interrupt(more.u8()); break;
            default:
                (void)ioapic.mmio_write(0x00, 4, 0x10U + more.u8() % 48U);
                (void)ioapic.mmio_write(0x10, 4, more.u32());
        }
    };
    fuzz_device(bytes, ioapic, timers, {.mmio_size = 0x80, .other_action = other_action});
    for (const MsiMessage& message : msi.messages())
        BANYAN_ASSERT(message.address >> 20 == 0xFEE);
    return 0;
}
