// Configuration space and BARs under random accesses by both mechanisms. What must hold: no crash,
// the board is told of each mapping in pairs (the mapper checks), and both mechanisms show the
// same.
#include <cstddef>
#include <cstdint>

#include "devices/pci/pci_bus.hpp"
#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "devices/pci/testing/test_function.hpp"
#include "vm/testing/device_fuzz.hpp"
#include "vm/testing/fakes.hpp"

namespace {

using namespace banyan;

constexpr uint16_t kAddress = 0xcf8;
constexpr uint16_t kData = 0xcfc;

struct Machine {
    Machine() {
        BANYAN_ASSERT(host.add_function({1, 0}, first, first_lock).has_value());
        BANYAN_ASSERT(host.add_function({2, 0}, second, second_lock).has_value());
    }

    FakeBarMapper mapper;
    RecordingMsi msi;
    Mutex first_lock;
    Mutex second_lock;
    TestFunction first{PciWiring{mapper}, msi};
    TestFunction second{PciWiring{mapper}, msi};
    PciHost host;
};

void write_header(FuzzBytes& bytes, PciHost& host) {
    const uint64_t offset = uint64_t{bytes.u8() % 3U} << 15 | (bytes.u8() & 0xfcU);
    (void)host.mmio()->mmio_write(offset, 4, bytes.u32());
}

void compare_mechanisms(FuzzBytes& bytes, PciHost& host) {
    const unsigned device = bytes.u8() % 4U;
    const unsigned reg = bytes.u8() & 0xfcU;
    uint32_t by_port = 0;
    uint64_t by_ecam = 0;
    (void)host.pio()->port_write(kAddress, 4, 0x8000'0000U | device << 11 | reg);
    BANYAN_ASSERT(host.pio()->port_read(kData, 4, by_port) == IoStatus::ok);
    BANYAN_ASSERT(host.mmio()->mmio_read(device << 15 | reg, 4, by_ecam) == IoStatus::ok);
    BANYAN_ASSERT(by_port == by_ecam);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FakeClock clock;
    FakeTimerService timers(clock);
    Machine machine;
    FuzzBytes bytes(data, size);
    DeviceFuzzOptions options;
    options.mmio_size = PciHost::kEcamSize;
    options.other_action = [&](FuzzBytes& rest) {
        switch (rest.u8() % 6) {
            case 0: return machine.first.interrupt((rest.u8() & 1) != 0);
            case 1: return machine.first.msix().signal(rest.u8() % 8U);
            case 2: (void)machine.first.msix().mmio_write(rest.u8() * 4U, 4, rest.u32()); return;
            case 3: return write_header(rest, machine.host);
            case 4: return compare_mechanisms(rest, machine.host);
            default: return machine.second.reset();
        }
    };
    fuzz_device(bytes, machine.host, timers, options);
    return 0;
}
