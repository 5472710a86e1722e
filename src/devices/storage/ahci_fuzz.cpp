// A driver that knows AHCI well enough to reach everything, and breaks it at random: registers,
// command lists, scatter lists, FISes and packets hold anything. Media fail and are late.
#include "devices/storage/ahci.hpp"
#include "devices/storage/ata_disk.hpp"
#include "devices/storage/ata_packet.hpp"
#include "devices/storage/testing/ahci_driver.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace banyan {
namespace {

constexpr uint64_t kAhciFuzzRam = 0x2'0000;
constexpr std::array<uint8_t, 24> kAhciOps{0x25, 0x35, 0xc8, 0xca, 0x60, 0x61, 0xec, 0xa0,
                                           0xa1, 0xef, 0x06, 0x2f, 0x20, 0x30, 0xc4, 0xc5,
                                           0xc6, 0x91, 0xea, 0x3d, 0xe5, 0x60, 0x61, 0xa0};

class AhciFuzz {
public:
    AhciFuzz() {
        hba_.attach(0, std::make_unique<AtaDisk>(AtaDeviceConfig{}, disk_));
        hba_.attach(1, std::make_unique<AtaPacket>(AtaDeviceConfig{}, disc_));
        for (AhciDriver& driver : drivers_)
            driver.start();
    }

    void run(FuzzBytes& bytes) {
        DeviceFuzzOptions options;
        options.other_action = [this](FuzzBytes& rest) { act(rest); };
        while (!bytes.empty()) {
            act(bytes);
            if (bytes.u8() % 16 == 0) fuzz_device(bytes, hba_, bench_.timers, options);
        }
    }

private:
    void act(FuzzBytes& bytes) {
        AhciDriver& driver = drivers_[bytes.u8() & 1];
        switch (bytes.u8() % 12) {
            case 0: return driver.place();
            case 1: return driver.start();
            case 2: return driver.restart_list();
            case 3: return write_register(bytes);
            case 4:
                return (void)bench_.mapper.read(AhciDriver::kRegisters + bytes.u16() % 0x400U,
                                                1U << bytes.u8() % 4);
            case 5: return hba_.config_write(bytes.u8() & 0xfc, 4, bytes.u32());
            case 6: return scribble(bytes);
            case 7: return medium_event(bytes);
            default: return command(driver, bytes);
        }
    }

    void write_register(FuzzBytes& bytes) {
        const uint64_t at = bytes.u8() % 4 == 0 ? bytes.u8() : 0x100U + bytes.u8();
        (void)bench_.mapper.write(AhciDriver::kRegisters + at, 1U << bytes.u8() % 4, bytes.u64());
    }
    void scribble(FuzzBytes& bytes) {
        (void)bench_.ram.memory().write_object(Gpa{0x1000U + bytes.u16() % 0x8000U}, bytes.u64());
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
    void command(AhciDriver& driver, FuzzBytes& bytes) {
        const uint8_t choice = bytes.u8();
        AhciDriver::Registers registers;
        registers.command = choice % 16 == 0 ? bytes.u8() : kAhciOps[bytes.u8() % kAhciOps.size()];
        registers.lba = choice % 8 == 1 ? bytes.u64() : bytes.u8();
        registers.count = choice % 8 == 2 ? bytes.u16() : bytes.u8();
        registers.features = bytes.u8();
        if (choice % 4 == 3) registers.device = bytes.u8();
        std::vector<AhciDriver::Piece> pieces(bytes.u8() % 8U);
        for (AhciDriver::Piece& piece : pieces) {
            piece.gpa = Gpa{bytes.u8() % 16 == 0 ? bytes.u64() : bytes.u16() * uint64_t{2}};
            piece.length = 1U + bytes.u16();
        }
        std::string packet;
        for (unsigned i = 0; i < 10; ++i)
            packet.push_back(static_cast<char>(bytes.u8()));
        const unsigned slot = bytes.u8() % 32U;
        driver.prepare(slot, registers, pieces, packet);
        driver.issue(slot, (registers.command & 0xfe) == 0x60);
    }

    StorageBench bench_{kAhciFuzzRam};
    MemoryBlock disk_{32 * 1024};
    MemoryBlock disc_{32 * 1024, true};
    Ahci hba_{bench_.ahci_wiring()};
    std::array<AhciDriver, 2> drivers_{AhciDriver(bench_, hba_, 0), AhciDriver(bench_, hba_, 1)};
};

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    banyan::FuzzBytes bytes(data, size);
    banyan::AhciFuzz().run(bytes);
    return 0;
}
