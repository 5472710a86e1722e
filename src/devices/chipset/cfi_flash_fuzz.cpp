// Random register accesses.
#include <vector>

#include "devices/chipset/cfi_flash.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

class Shown final : public banyan::CfiFlash::Bytes {
public:
    void show(bool /*readable*/) override {}
    void changed(uint64_t offset, uint64_t length) override {
        BANYAN_ASSERT(offset + length <= 2 * banyan::CfiFlash::kBlock);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    std::vector<std::byte> memory(2 * CfiFlash::kBlock);
    Shown shown;
    CfiFlash flash({memory, shown});

    FuzzBytes bytes(data, size);
    fuzz_device(bytes, flash, timers, {});
    return 0;
}
