// Random register accesses with devices that move bytes.
#include <vector>

#include "devices/chipset/dma8237.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    FakeRam ram(4 * kPageSize);
    Dma8237Pair dma({ram.memory()});
    std::vector<std::byte> buffer(1024);

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {
        const uint8_t what = bytes.u8();
        const auto part = std::span(buffer).first(bytes.u16() % (buffer.size() + 1));
        if (what == 0xFF) return dma.set_up_cascade();
        const DmaMoved moved =
            (what & 8) != 0 ? dma.from_device(what & 7, part) : dma.to_device(what & 7, part);
        BANYAN_ASSERT(moved.bytes <= part.size());
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, dma, timers, options);
    return 0;
}
