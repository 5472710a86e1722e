// Random register accesses and DMA descriptors.
#include "devices/chipset/fw_cfg.hpp"
#include "vm/testing/device_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeClock clock;
    FakeTimerService timers(clock);
    FakeRam ram(2 * kPageSize);
    FwCfg fw_cfg({ram.memory()});
    BANYAN_ASSERT(
        fw_cfg.add_file("etc/test", std::vector<std::byte>(100, std::byte{0x5A})).has_value());

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& bytes) {  // a descriptor that is nearly right, at 0
        const uint32_t control = __builtin_bswap32(bytes.u32() & 0x0021'001F);
        const uint64_t length_and_address = bytes.u64() & 0x0000'FFFF'0000'0000;
        (void)ram.memory().write_object({0}, control);
        (void)ram.memory().write_object({4}, length_and_address);
        (void)ram.memory().write_object({12}, __builtin_bswap32(bytes.u16()));
        (void)fw_cfg.port_write(FwCfg::kDmaPort + 4, 4, 0);
    };
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, fw_cfg, timers, options);
    return 0;
}
