// Random register accesses while devices come and are to go. What must hold: only places are
// ejected, and what was ejected is asked for no more.
#include "devices/chipset/pci_hotplug.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

constexpr uint32_t kPlaces = 0x7F80'0100;

class Ejected final : public banyan::PciHotplugClient {
public:
    void on_ejected(unsigned device) override {
        BANYAN_ASSERT(device < 32 && banyan::has_bit(kPlaces, device));
        BANYAN_ASSERT(chip == nullptr || !chip->removal_requested(device));
    }
    banyan::PciHotplug* chip = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    Ejected client;
    PciHotplug chip({client, kPlaces});
    client.chip = &chip;

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {
        const uint8_t what = bytes.u8();
        const unsigned device = what % 32;
        if (!has_bit(kPlaces, device)) return;
        if ((what & 0xC0) == 0xC0) {
            chip.eject_requested();
        } else if ((what & 0x20) != 0) {
            chip.device_added(device);
        } else {
            chip.request_removal(device);
        }
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, chip, timers, options);
    return 0;
}
