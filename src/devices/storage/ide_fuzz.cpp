// Random accesses to the legacy ports and the bus master, among them whole commands that a driver
// could give, with descriptor tables that hold anything. Media fail and are late.
#include "devices/storage/ata_disk.hpp"
#include "devices/storage/ata_packet.hpp"
#include "devices/storage/testing/ide_driver.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace banyan {
namespace {

constexpr std::array<uint8_t, 20> kIdeOps{0x20, 0x24, 0x25, 0x30, 0x34, 0x35, 0x90,
                                          0x91, 0xa0, 0xa1, 0xc4, 0xc5, 0xc6, 0xc8,
                                          0xca, 0x06, 0xec, 0xef, 0xe7, 0x08};

class IdeFuzz {
public:
    IdeFuzz() {
        ide_.attach(0, std::make_unique<AtaDisk>(AtaDeviceConfig{{}, AtaCable::parallel}, disk_));
        ide_.attach(1, std::make_unique<AtaPacket>(AtaDeviceConfig{{}, AtaCable::parallel}, disc_));
        driver_.place();
    }
    void run(FuzzBytes& bytes) {
        DeviceFuzzOptions options;
        options.other_action = [this](FuzzBytes& rest) { act(rest); };
        while (!bytes.empty()) {
            act(bytes);
            if (bytes.u8() % 8 == 0) fuzz_device(bytes, ide_, bench_.timers, options);
        }
    }

private:
    void act(FuzzBytes& bytes) {
        switch (bytes.u8() % 12) {
            case 0: return driver_.place();
            case 1: return ide_.config_write(bytes.u8() & 0xfc, 4, bytes.u32());
            case 2: return medium_event(bytes);
            case 3:
                return driver_.bus_master_out(bytes.u8() % 16U, bytes.u32(), 1U << bytes.u8() % 3);
            case 4: return (void)driver_.bus_master_in(bytes.u8() % 16U, 1U << bytes.u8() % 3);
            case 5: return driver_.start_bus_master(bytes.u16(), (bytes.u8() & 1) != 0);
            case 6: return (void)driver_.read_data(bytes.u8() * 8U);
            case 7: return driver_.write_data(std::string(bytes.u8() * 8U, 'w'));
            case 8: return packet(bytes);
            case 9:
                return (void)bench_.ram.memory().write_object(
                    IdeDriver::kTable + bytes.u8() % 32U * 4U, bytes.u32());
            default: return command(bytes);
        }
    }
    void medium_event(FuzzBytes& bytes) {
        MemoryBlock& medium = (bytes.u8() & 1) != 0 ? disk_ : disc_;
        switch (bytes.u8() % 5) {
            case 0: return medium.hold(true);
            case 1: return medium.hold(false);
            case 2: return medium.fail_with(static_cast<BlockStatus>(bytes.u8() % 3));
            case 3: return medium.drain();
            default: (void)medium.complete_one();
        }
    }
    void packet(FuzzBytes& bytes) {
        std::string block;
        for (unsigned i = 0; i < 10; ++i)
            block.push_back(static_cast<char>(bytes.u8()));
        driver_.packet(block, bytes.u16(), bytes.u8() & 1);
    }
    void command(FuzzBytes& bytes) {
        const uint8_t choice = bytes.u8();
        driver_.command(
            {.command = choice % 16 == 0 ? bytes.u8() : kIdeOps[choice % kIdeOps.size()],
             .lba = choice % 8 == 1 ? bytes.u64() : bytes.u8(),
             .count = bytes.u8(),
             .features = bytes.u8(),
             .device = static_cast<uint8_t>(0x40 | (choice & 0x10))});
    }

    StorageBench bench_{0x2'0000};
    MemoryBlock disk_{32 * 1024};
    MemoryBlock disc_{32 * 1024, true};
    Ide ide_{bench_.ide_wiring()};
    IdeDriver driver_{bench_, ide_};
};

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    banyan::FuzzBytes bytes(data, size);
    banyan::IdeFuzz().run(bytes);
    return 0;
}
