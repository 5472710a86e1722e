#include "devices/storage/ahci.hpp"

#include <gtest/gtest.h>

#include "devices/storage/ata_disk.hpp"
#include "devices/storage/ata_packet.hpp"
#include "devices/storage/testing/ahci_driver.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using namespace ahci;
using Registers = AhciDriver::Registers;

constexpr uint64_t kAhciDisk = 1 << 20;
constexpr Gpa kAhciData = AhciDriver::kData;
constexpr uint32_t kReadyStatus = 0x50;

// A disk on port 0, a CD-ROM drive on port 1, nothing on the others.
struct AhciMachine {
    explicit AhciMachine(StorageBench& bench) : hba(bench.ahci_wiring()) {
        hba.attach(0, std::make_unique<AtaDisk>(AtaDeviceConfig{.serial = "disk-1"}, disk));
        hba.attach(1, std::make_unique<AtaPacket>(AtaDeviceConfig{}, disc));
    }
    MemoryBlock disk{kAhciDisk};
    MemoryBlock disc{kAhciDisk, true};
    Ahci hba;
};

class AhciTest : public testing::Test {
protected:
    char* disk(uint64_t sector) {
        return reinterpret_cast<char*>(machine_.disk.bytes().data()) + sector * 512;
    }
    // The word of IDENTIFY data at kAhciData.
    unsigned word(unsigned number) {
        const std::string bytes = bench_.peek(kAhciData + 2 * number, 2);
        return static_cast<uint8_t>(bytes[0]) | static_cast<unsigned>(bytes[1] & 0xff) << 8;
    }

    StorageBench bench_;
    AhciMachine machine_{bench_};
    AhciDriver driver_{bench_, machine_.hba};
};

TEST_F(AhciTest, ShowsWhatItIs) {
    EXPECT_EQ(machine_.hba.config_read(0, 4), 0x29228086U);
    EXPECT_EQ(machine_.hba.config_read(8, 4), 0x01060102U);
    EXPECT_EQ(driver_.read(Hba::PI), 0x3fU);
    EXPECT_EQ(driver_.read(Hba::VS), 0x00010301U);
    EXPECT_EQ(driver_.read(Hba::CAP) & 0x1f1f, 0x1f05U) << "32 slots, 6 ports";
    EXPECT_EQ(driver_.read(Hba::GHC), 0x80000000U);
}

// 10.1.2 and 10.3.2: the signature comes when FISes can be received.
TEST_F(AhciTest, FindsDevicesBySignature) {
    EXPECT_EQ(driver_.read(Port::SSTS), 0x123U);
    EXPECT_EQ(driver_.read(Port::TFD), 0x7fU);
    driver_.start();
    EXPECT_EQ(driver_.read(Port::SIG), 0x00000101U);
    EXPECT_EQ(driver_.read(Port::TFD), 0x150U);
    EXPECT_EQ(static_cast<uint8_t>(driver_.received(0x40, 1)[0]), 0x34);
    AhciDriver cdrom(bench_, machine_.hba, 1);
    cdrom.start();
    EXPECT_EQ(cdrom.read(Port::SIG), 0xeb140101U);
    AhciDriver empty(bench_, machine_.hba, 2);
    empty.start();
    EXPECT_EQ(empty.read(Port::SSTS), 0U);
    EXPECT_EQ(empty.read(Port::TFD), 0x7fU);
    empty.issue(3);
    EXPECT_EQ(empty.read(Port::CI), 8U) << "nobody takes it";
}

// ACS-3, 7.12.
TEST_F(AhciTest, Identifies) {
    driver_.start();
    EXPECT_EQ(driver_.run({.command = 0xec}, 512), kReadyStatus);
    EXPECT_EQ(driver_.moved(0), 512U);
    EXPECT_EQ(driver_.read(Port::CI), 0U);
    EXPECT_NE(driver_.read(Port::IS) & kIsPioSetup, 0U);
    EXPECT_EQ(bench_.peek(kAhciData + 20, 20), "idks1-              ");
    EXPECT_EQ(word(60), kAhciDisk / 512);
    EXPECT_EQ(word(75), 31U);
    EXPECT_EQ(word(76) & 0x100U, 0x100U) << "NCQ";
    uint8_t sum = 0;
    for (const char c : bench_.peek(kAhciData, 512))
        sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(c));
    EXPECT_EQ(sum, 0);
}

TEST_F(AhciTest, ReadsAndWritesByDma) {
    driver_.start();
    std::fill_n(disk(5), 1024, 'r');
    EXPECT_EQ(driver_.run({.command = 0x25, .lba = 5, .count = 2}, 1024), kReadyStatus);
    EXPECT_EQ(bench_.peek(kAhciData, 1024), std::string(1024, 'r'));
    EXPECT_EQ(driver_.moved(0), 1024U);
    EXPECT_EQ(driver_.read(Port::IS) & 0x7fffffff, kIsRegisterFis);
    bench_.poke(kAhciData, std::string(512, 'w'));
    EXPECT_EQ(driver_.run({.command = 0xca, .lba = 9, .count = 1}, 512), kReadyStatus);
    EXPECT_EQ(std::string(disk(9), 512), std::string(512, 'w'));
    EXPECT_EQ(driver_.run({.command = 0xea}), kReadyStatus);
    EXPECT_EQ(machine_.disk.flushes(), 1U);
}

// 4.2.3.3: pieces of any even length; one asks for an interrupt.
TEST_F(AhciTest, ScattersOverDescriptors) {
    driver_.start();
    for (size_t i = 0; i < 1024; ++i)
        disk(0)[i] = static_cast<char>(i * 7);
    driver_.prepare(4, {.command = 0xc8, .count = 2},
                    {{kAhciData, 2}, {kAhciData + 0x1000, 1000, true}, {kAhciData + 0x2000, 22}});
    driver_.issue(4);
    EXPECT_EQ(driver_.read(Port::TFD), kReadyStatus);
    EXPECT_EQ(bench_.peek(kAhciData, 2) + bench_.peek(kAhciData + 0x1000, 1000) +
                  bench_.peek(kAhciData + 0x2000, 22),
              std::string(disk(0), 1024));
    EXPECT_NE(driver_.read(Port::IS) & kIsDescriptor, 0U);
    EXPECT_EQ(driver_.read(Port::CMD) >> 8 & 31U, 4U) << "CCS";
}

// 5.5.2 and 5.6.4: queued commands end in any order, each with its bit of PxSACT.
TEST_F(AhciTest, RunsQueuedCommandsSideBySide) {
    driver_.start();
    machine_.disk.hold(true);
    for (const unsigned slot : {0U, 7U, 31U}) {
        driver_.prepare(slot,
                        {.command = 0x60,
                         .lba = slot,
                         .count = static_cast<uint16_t>(slot << 3),
                         .features = 1},
                        {{kAhciData + slot * 512, 512}});
        driver_.issue(slot, true);
    }
    EXPECT_EQ(machine_.disk.in_flight(), 3U);
    EXPECT_EQ(driver_.read(Port::CI), 0U) << "the device has taken them";
    EXPECT_EQ(driver_.read(Port::SACT), 0x80000081U);
    ASSERT_TRUE(machine_.disk.complete_one());
    EXPECT_EQ(driver_.read(Port::SACT), 0x80000080U);
    EXPECT_NE(driver_.read(Port::IS) & kIsSetDeviceBits, 0U);
    machine_.disk.drain();
    EXPECT_EQ(driver_.read(Port::SACT), 0U);
    // Anything else waits until it has the device for itself.
    driver_.prepare(1, {.command = 0x61, .lba = 3, .count = 8, .features = 1}, {{kAhciData, 512}});
    driver_.prepare(2, {.command = 0xea}, {});
    driver_.issue(1, true);
    driver_.issue(2);
    EXPECT_EQ(machine_.disk.in_flight(), 1U);
    EXPECT_EQ(driver_.read(Port::CI), 4U);
    ASSERT_TRUE(machine_.disk.complete_one());
    EXPECT_EQ(machine_.disk.in_flight(), 1U) << "the flush";
    machine_.disk.drain();
    EXPECT_EQ(driver_.read(Port::CI), 0U);
}

// 6.2.2 "Software Error Recovery".
TEST_F(AhciTest, StandsStillAfterAnErrorUntilItIsRestarted) {
    driver_.start();
    driver_.write(Port::IS, ~0U);
    EXPECT_EQ(driver_.run({.command = 0x25, .lba = 4096, .count = 1}, 512), 0x1041U);
    EXPECT_NE(driver_.read(Port::IS) & kIsTaskFileError, 0U);
    EXPECT_EQ(driver_.read(Port::CI), 1U) << "for the driver to see which";
    driver_.issue(1);
    EXPECT_EQ(driver_.read(Port::CI), 3U);
    driver_.restart_list();
    EXPECT_EQ(driver_.read(Port::CI), 0U);
    EXPECT_EQ(driver_.run({.command = 0x25, .count = 1}, 512), kReadyStatus);
    EXPECT_EQ(driver_.run({.command = 0xff}), 0x441U) << "aborted";
}

// ACS-3, A.13: which of the queued commands it was.
TEST_F(AhciTest, LogsTheErrorOfAQueuedCommand) {
    driver_.start();
    machine_.disk.fail_with(BlockStatus::io_error);
    driver_.prepare(5, {.command = 0x60, .lba = 0x123, .count = 5 << 3, .features = 2},
                    {{kAhciData, 1024}});
    driver_.issue(5, true);
    EXPECT_EQ(driver_.read(Port::SACT), 0x20U) << "it stays";
    EXPECT_EQ(driver_.read(Port::TFD), 0x4041U);
    EXPECT_NE(driver_.read(Port::IS) & kIsTaskFileError, 0U);
    machine_.disk.fail_with(BlockStatus::ok);
    driver_.restart_list();
    EXPECT_EQ(driver_.run({.command = 0x2f, .lba = 0x10, .count = 1}, 512), kReadyStatus);
    EXPECT_EQ(bench_.peek(kAhciData, 6), std::string("\x05\0\x41\x40\x23\x01", 6));
    EXPECT_EQ(driver_.run({.command = 0x2f, .lba = 0x10, .count = 1}, 512), kReadyStatus);
    EXPECT_EQ(static_cast<uint8_t>(bench_.peek(kAhciData, 1)[0]), 0x80) << "read once";
}

TEST_F(AhciTest, TrimsSectors) {
    driver_.start();
    const std::array<uint64_t, 2> ranges{uint64_t{8} << 48 | 16, uint64_t{1} << 48 | 64};
    bench_.poke(kAhciData, std::string(512, '\0'));
    driver_.object(kAhciData, ranges);
    EXPECT_EQ(driver_.run({.command = 0x06, .count = 1, .features = 1}, 512), kReadyStatus);
    EXPECT_EQ(machine_.disk.discards(), 2U);
    driver_.object(kAhciData, std::array<uint64_t, 1>{uint64_t{8} << 48 | 4000});
    EXPECT_EQ(driver_.run({.command = 0x06, .count = 1, .features = 1}, 512), 0x1041U);
}

// 10.4.2 "Port Reset".
TEST_F(AhciTest, ResetsThePort) {
    driver_.start();
    driver_.write(Port::CMD, kCmdFisReceive);
    driver_.write(Port::SERR, ~0U);
    driver_.write(Port::SCTL, 0x301);
    EXPECT_EQ(driver_.read(Port::SSTS), 0U);
    EXPECT_EQ(driver_.read(Port::TFD), 0x7fU);
    driver_.write(Port::SCTL, 0x300);
    EXPECT_EQ(driver_.read(Port::SSTS), 0x123U);
    EXPECT_EQ(driver_.read(Port::SERR), kSerrExchanged);
    EXPECT_NE(driver_.read(Port::IS) & kIsConnectChange, 0U);
    EXPECT_EQ(driver_.read(Port::TFD), 0x150U);
    driver_.write(Port::IS, ~0U);
    EXPECT_NE(driver_.read(Port::IS) & kIsConnectChange, 0U) << "a view of SERR";
    driver_.write(Port::SERR, kSerrExchanged);
    EXPECT_EQ(driver_.read(Port::IS) & kIsConnectChange, 0U);
}

// Serial ATA 3.0, 11.4: two FISes of the control register.
TEST_F(AhciTest, ResetsTheDeviceBySoftware) {
    driver_.start();
    for (const uint8_t control : {uint8_t{4}, uint8_t{0}}) {
        driver_.prepare(0, {}, {});
        std::array<uint8_t, 20> fis{0x27};
        fis[15] = control;
        driver_.object(AhciDriver::table_of(0), fis);
        driver_.issue(0);
        EXPECT_EQ(driver_.read(Port::CI), 0U);
    }
    EXPECT_EQ(driver_.read(Port::TFD), 0x150U);
    EXPECT_EQ(driver_.read(Port::SIG), 0x101U);
}

TEST_F(AhciTest, ReadsDiscsByPackets) {
    AhciDriver cdrom(bench_, machine_.hba, 1);
    cdrom.start();
    const auto packet = [](std::string bytes) {
        return bytes + std::string(16 - bytes.size(), '\0');
    };
    EXPECT_EQ(cdrom.run({.command = 0xec}, 512) & 0xff, 0x41U) << "a disk it is not";
    cdrom.restart_list();
    EXPECT_EQ(cdrom.run({.command = 0xa1}, 512), kReadyStatus);
    EXPECT_EQ(word(0), 0x85c0U);
    const std::string ready = packet(std::string(1, '\0'));
    EXPECT_EQ(cdrom.run({.command = 0xa0}, 0, ready), 0x6441U) << "unit attention";
    cdrom.restart_list();
    EXPECT_EQ(cdrom.run({.command = 0xa0}, 18, packet(std::string("\x03\0\0\0\x12", 5))),
              kReadyStatus);
    EXPECT_EQ(bench_.peek(kAhciData + 12, 1), "\x29");
    std::fill_n(reinterpret_cast<char*>(machine_.disc.bytes().data()) + 4096, 2048, 'd');
    EXPECT_EQ(cdrom.run({.command = 0xa0, .features = 1}, 2048,
                        packet(std::string("\x28\0\0\0\0\2\0\0\1", 9))),
              kReadyStatus);
    EXPECT_EQ(bench_.peek(kAhciData, 2048), std::string(2048, 'd'));
    EXPECT_EQ(cdrom.moved(0), 2048U);
    EXPECT_EQ(cdrom.received(0x4c, 1), "\x03") << "interrupt reason";
    // 3.3.5 (OFS): the buffer is shorter than what comes.
    EXPECT_EQ(cdrom.run({.command = 0xa0}, 20, packet(std::string("\x12\0\0\0\x24", 5))),
              kReadyStatus);
    EXPECT_EQ(cdrom.moved(0), 20U);
    EXPECT_NE(cdrom.read(Port::IS) & kIsOverflow, 0U);
}

TEST_F(AhciTest, InterruptsByWireOrMessage) {
    driver_.start();
    EXPECT_FALSE(bench_.irq.level());
    (void)driver_.run({.command = 0xea});
    EXPECT_TRUE(bench_.irq.level());
    EXPECT_EQ(driver_.read(Hba::IS), 1U);
    driver_.write(Hba::IS, 1);
    EXPECT_TRUE(bench_.irq.level()) << "the port still has one";
    driver_.write(Port::IS, ~0U);
    driver_.write(Hba::IS, 1);
    EXPECT_FALSE(bench_.irq.level());

    const auto msi = static_cast<uint16_t>(machine_.hba.config_read(0x34, 1));
    ASSERT_EQ(machine_.hba.config_read(msi, 1), 5U);
    machine_.hba.config_write(static_cast<uint16_t>(msi + 4), 4, 0xfee01000);
    machine_.hba.config_write(static_cast<uint16_t>(msi + 12), 2, 0x31);
    machine_.hba.config_write(static_cast<uint16_t>(msi + 2), 2, 1);
    (void)driver_.run({.command = 0xea});
    EXPECT_FALSE(bench_.irq.level());
    ASSERT_EQ(bench_.msi.count(), 1U);
    EXPECT_EQ(bench_.msi.messages()[0], (MsiMessage{0xfee01000, 0x31}));
    driver_.write(Port::IS, ~0U);
    driver_.write(Hba::IS, 1);
    EXPECT_EQ(bench_.msi.count(), 1U);
}

TEST_F(AhciTest, StopsAtWhatIsNotMemory) {
    driver_.start();
    driver_.prepare(0, {.command = 0xc8, .count = 1}, {{Gpa{1ULL << 50}, 512}});
    driver_.issue(0);
    EXPECT_NE(driver_.read(Port::IS) & kIsHostBusFatal, 0U);
    driver_.restart_list();
    driver_.write(Port::CLBU, 0x1000);
    driver_.issue(0);
    EXPECT_NE(driver_.read(Port::IS) & kIsHostBusFatal, 0U);
    driver_.write(Port::CLBU, 0);
    driver_.restart_list();
    driver_.prepare(0, {.command = 0xc8, .count = 1}, {});
    driver_.object(AhciDriver::table_of(0), uint8_t{0x46});
    driver_.issue(0);
    EXPECT_NE(driver_.read(Port::IS) & kIsInterfaceFatal, 0U) << "no command FIS";
}

TEST_F(AhciTest, ToStopTheListWaitsForWhatIsInFlight) {
    driver_.start();
    machine_.disk.hold(true);
    (void)driver_.run({.command = 0x25, .count = 1}, 512);
    EXPECT_EQ(driver_.read(Port::TFD) & 0x80, 0x80U) << "busy";
    driver_.write(Port::CMD, kCmdFisReceive);
    EXPECT_EQ(machine_.disk.in_flight(), 0U);
    EXPECT_EQ(driver_.read(Port::CMD) & (kCmdStart | kCmdListRunning), 0U);
}

TEST_F(AhciTest, SaveDrainsAndTheRestGoesOnLater) {
    driver_.start();
    machine_.disk.hold(true);
    driver_.prepare(0, {.command = 0xea}, {});
    driver_.prepare(1, {.command = 0xea}, {});
    driver_.issue(0);
    driver_.issue(1);
    EXPECT_EQ(machine_.disk.in_flight(), 1U);
    const auto bytes = saved_bytes(machine_.hba);
    EXPECT_EQ(machine_.disk.in_flight(), 0U);
    EXPECT_EQ(driver_.read(Port::CI), 2U);
    StateReader reader(bytes);
    ASSERT_TRUE(machine_.hba.restore(reader));
    EXPECT_EQ(driver_.read(Port::CI), 2U);
    bench_.timers.advance(1'000'000);
    machine_.disk.drain();
    EXPECT_EQ(driver_.read(Port::CI), 0U);
    EXPECT_EQ(machine_.disk.flushes(), 2U);
}

TEST(AhciState, HasTheProperties) {
    StorageBench bench;
    MemoryBlock disk(kAhciDisk);
    MemoryBlock disc(kAhciDisk, true);
    check_saved_state(
        [&] {
            auto hba = std::make_unique<Ahci>(bench.ahci_wiring());
            hba->attach(0, std::make_unique<AtaDisk>(AtaDeviceConfig{}, disk));
            hba->attach(3, std::make_unique<AtaPacket>(AtaDeviceConfig{}, disc));
            return hba;
        },
        [&](Ahci& hba) {
            AhciDriver driver(bench, hba);
            driver.start();
            (void)driver.run({.command = 0x25, .lba = 4096, .count = 1}, 512);
            AhciDriver cdrom(bench, hba, 3);
            cdrom.start();
            hba.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
