#include "devices/storage/ide.hpp"

#include <gtest/gtest.h>

#include "devices/storage/ata_disk.hpp"
#include "devices/storage/ata_packet.hpp"
#include "devices/storage/testing/ide_driver.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using namespace ata;

constexpr uint64_t kIdeDisk = 1 << 20;
constexpr unsigned kPrimaryIrq = 14;
constexpr Gpa kDmaData = IdeDriver::kData;

// A disk and a CD-ROM drive on the primary channel, nothing on the secondary.
class IdeTest : public testing::Test {
protected:
    void SetUp() override {
        ide_.attach(0,
                    std::make_unique<AtaDisk>(AtaDeviceConfig{"ide-1", AtaCable::parallel}, disk_));
        ide_.attach(1, std::make_unique<AtaPacket>(AtaDeviceConfig{{}, AtaCable::parallel}, disc_));
        driver_.place();
    }
    char* disk(uint64_t sector) {
        return reinterpret_cast<char*>(disk_.bytes().data()) + sector * 512;
    }
    bool irq() { return bench_.isa.level(kPrimaryIrq); }
    void skip_attention() {
        driver_.packet(std::string(1, '\0'), 0xfffe);
        EXPECT_EQ(driver_.status(), 0x51);
    }

    StorageBench bench_;
    MemoryBlock disk_{kIdeDisk};
    MemoryBlock disc_{kIdeDisk, true};
    Ide ide_{bench_.ide_wiring()};
    IdeDriver driver_{bench_, ide_};
};

// ATA/ATAPI-6, 9.12 and 9.2.
TEST_F(IdeTest, ShowsSignaturesAfterAReset) {
    driver_.out(0x3f6, 0x04);
    EXPECT_EQ(driver_.alternate_status(), kStatusBusy);
    driver_.out(0x3f6, 0x00);
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_EQ(driver_.in(0x1f1), 1U);
    EXPECT_EQ(driver_.in(0x1f3) | driver_.in(0x1f4) << 8 | driver_.in(0x1f5) << 16, 0x000001U);
    driver_.out(0x1f6, 0x10);
    EXPECT_EQ(driver_.status(), 0U) << "a packet device";
    EXPECT_EQ(driver_.in(0x1f3) | driver_.in(0x1f4) << 8 | driver_.in(0x1f5) << 16, 0xeb1401U);
    EXPECT_EQ(driver_.in(0x177), 0U) << "nobody";
    EXPECT_EQ(driver_.in(0x376), 0U);
}

// How drivers look for devices: registers keep what is written.
TEST_F(IdeTest, KeepsWhatIsWritten) {
    for (const unsigned device : {0x00U, 0x10U}) {
        driver_.out(0x1f6, device);
        driver_.out(0x1f2, 0x55);
        driver_.out(0x1f3, 0xaa);
        EXPECT_EQ(driver_.in(0x1f2), 0x55U);
        EXPECT_EQ(driver_.in(0x1f3), 0xaaU);
    }
    driver_.out(0x172, 0x55);
    EXPECT_EQ(driver_.in(0x172), 0U);
    driver_.out(0x1f2, 0x66);
    driver_.out(0x3f6, 0x80);
    EXPECT_EQ(driver_.in(0x1f2), 0x55U) << "HOB";
    driver_.out(0x1f3, 0);
    EXPECT_EQ(driver_.in(0x1f2), 0x66U) << "a write ends it";
}

// 82371SB, 2.5.9: a channel can be switched off, and I/O space.
TEST_F(IdeTest, DecodesItsPortsWhenItIsEnabled) {
    ide_.config_write(0x40, 2, 0);
    EXPECT_EQ(driver_.in(0x1f7), 0xffU);
    EXPECT_EQ(driver_.in(0x177), 0U);
    ide_.config_write(0x40, 2, 0x8000);
    EXPECT_EQ(driver_.in(0x1f7), 0x50U);
    ide_.config_write(4, 2, 0);
    EXPECT_EQ(driver_.in(0x1f7), 0xffU);
}

// ATA/ATAPI-6, 9.5 "PIO data-in command protocol".
TEST_F(IdeTest, IdentifiesByPio) {
    driver_.command({.command = 0xec});
    EXPECT_TRUE(irq());
    EXPECT_EQ(driver_.alternate_status(), 0x58);
    EXPECT_TRUE(irq()) << "the alternate status leaves it";
    EXPECT_EQ(driver_.status(), 0x58);
    EXPECT_FALSE(irq());
    const std::string data = driver_.read_data(512);
    EXPECT_EQ(data.substr(20, 6), "di-e 1") << "two characters a word, the first one high";
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_FALSE(irq()) << "no interrupt after the last data";
}

TEST_F(IdeTest, ReadsSectorsByPio) {
    std::fill_n(disk(7), 512, 'a');
    std::fill_n(disk(8), 512, 'b');
    driver_.command({.command = 0x20, .lba = 7, .count = 2});
    for (const char fill : {'a', 'b'}) {
        EXPECT_TRUE(irq()) << "one a sector";
        EXPECT_EQ(driver_.status(), 0x58);
        EXPECT_EQ(driver_.read_data(512), std::string(512, fill));
    }
    EXPECT_EQ(driver_.status(), 0x50);
    driver_.command({.command = 0xc6, .count = 2});
    EXPECT_EQ(driver_.status(), 0x50);
    driver_.command({.command = 0xc4, .lba = 7, .count = 2});
    bench_.isa.clear_counts();
    EXPECT_EQ(driver_.status(), 0x58);
    EXPECT_EQ(driver_.read_data(1024), std::string(512, 'a') + std::string(512, 'b'));
    EXPECT_EQ(bench_.isa.rises(kPrimaryIrq), 0U) << "both in one block";
    EXPECT_EQ(driver_.status(), 0x50);
}

// ATA/ATAPI-6, 9.6 "PIO data-out command protocol".
TEST_F(IdeTest, WritesSectorsByPio) {
    driver_.command({.command = 0x34, .lba = 3, .count = 2});
    EXPECT_FALSE(irq()) << "the first data request comes without";
    EXPECT_EQ(driver_.status(), 0x58);
    driver_.write_data(std::string(512, 'x'));
    EXPECT_TRUE(irq());
    EXPECT_EQ(driver_.status(), 0x58);
    driver_.write_data(std::string(512, 'y'));
    EXPECT_TRUE(irq());
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_EQ(std::string(disk(3), 1024), std::string(512, 'x') + std::string(512, 'y'));
}

TEST_F(IdeTest, TellsOfErrors) {
    driver_.command({.command = 0x20, .lba = 2048, .count = 1});
    EXPECT_TRUE(irq());
    EXPECT_EQ(driver_.status(), 0x51);
    EXPECT_EQ(driver_.in(0x1f1), kErrorIdNotFound);
    disk_.fail_with(BlockStatus::io_error);
    driver_.command({.command = 0x20, .lba = 1, .count = 1});
    EXPECT_EQ(driver_.status(), 0x51);
    EXPECT_EQ(driver_.in(0x1f1), kErrorUncorrectable);
    driver_.command({.command = 0xff});
    EXPECT_EQ(driver_.status(), 0x51);
    EXPECT_EQ(driver_.in(0x1f1), kErrorAbort);
}

// Bus Master IDE Controller 1.0, 3.1.
TEST_F(IdeTest, ReadsAndWritesByBusMaster) {
    std::fill_n(disk(5), 1024, 'd');
    driver_.command({.command = 0xc8, .lba = 5, .count = 2});
    EXPECT_FALSE(irq()) << "it waits for the bus master";
    driver_.start_bus_master(1024, true);
    EXPECT_TRUE(irq());
    EXPECT_EQ(driver_.bus_master_in(2), 0x64U) << "interrupt, and no longer active";
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_EQ(bench_.peek(kDmaData, 1024), std::string(1024, 'd'));
    driver_.bus_master_out(0, 0);
    bench_.poke(kDmaData, std::string(512, 'e'));
    driver_.command({.command = 0x35, .lba = 9, .count = 1});
    driver_.start_bus_master(512, false);
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_EQ(std::string(disk(9), 512), std::string(512, 'e'));
    driver_.bus_master_out(0, 0);
    // The table describes more than the device moves: it stays active.
    driver_.start_bus_master(2048, true);
    driver_.command({.command = 0xc8, .lba = 5, .count = 1});
    EXPECT_EQ(driver_.bus_master_in(2), 0x65U);
}

TEST_F(IdeTest, TheBusMasterStopsAtWhatIsNotMemory) {
    driver_.command({.command = 0xc8, .lba = 5, .count = 1});
    bench_.poke(IdeDriver::kTable, std::string("\0\0\0\xf0\0\2\0\x80", 8));
    driver_.bus_master_out(4, static_cast<uint32_t>(IdeDriver::kTable.value), 4);
    driver_.bus_master_out(0, 9);
    EXPECT_EQ(driver_.bus_master_in(2) & 7, 6U) << "interrupt and error";
    EXPECT_EQ(driver_.status() & 1, 1);
}

// ATA/ATAPI-6, 9.8 "PACKET command protocol".
TEST_F(IdeTest, ReadsDiscsByPio) {
    skip_attention();
    EXPECT_EQ(driver_.in(0x1f1), 0x64U) << "sense key 6, aborted";
    std::fill_n(reinterpret_cast<char*>(disc_.bytes().data()) + 2048, 4096, 'c');
    driver_.command({.command = 0xa0, .lba = 3000 << 8, .device = 0x10});
    EXPECT_EQ(driver_.in(0x1f2), 1U) << "the command packet";
    EXPECT_EQ(driver_.alternate_status() & 8, 8);
    EXPECT_FALSE(irq());
    driver_.write_data(std::string("\x28\0\0\0\0\1\0\0\2\0\0\0", 12));
    std::string all;
    for (const unsigned part : {3000U, 1096U}) {
        EXPECT_TRUE(irq());
        EXPECT_EQ(driver_.status(), 0x58);
        EXPECT_EQ(driver_.in(0x1f2), 2U) << "data to the host";
        EXPECT_EQ(driver_.in(0x1f4) | driver_.in(0x1f5) << 8, part);
        all += driver_.read_data(part);
    }
    EXPECT_EQ(all, std::string(4096, 'c'));
    EXPECT_TRUE(irq());
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_EQ(driver_.in(0x1f2), 3U) << "done";
}

TEST_F(IdeTest, ReadsDiscsByBusMaster) {
    skip_attention();
    std::fill_n(reinterpret_cast<char*>(disc_.bytes().data()), 2048, 'm');
    driver_.packet(std::string("\x28\0\0\0\0\0\0\0\1", 9), 0, 1);
    driver_.start_bus_master(2048, true);
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_EQ(driver_.in(0x1f2), 3U);
    EXPECT_EQ(bench_.peek(kDmaData, 2048), std::string(2048, 'm'));
    driver_.bus_master_out(0, 0);
    driver_.packet(std::string("\x12\0\0\0\x24", 5), 0, 1);
    driver_.start_bus_master(36, true);
    EXPECT_EQ(bench_.peek(kDmaData + 16, 6), "CD-ROM");
}

TEST_F(IdeTest, InterruptsAreMaskedByTheDeviceControl) {
    driver_.out(0x3f6, 2);
    driver_.command({.command = 0xec});
    EXPECT_FALSE(irq());
    EXPECT_EQ(driver_.status(), 0x58);
}

TEST_F(IdeTest, ASoftResetEndsACommand) {
    disk_.hold(true);
    driver_.command({.command = 0x20, .lba = 1, .count = 1});
    EXPECT_EQ(driver_.alternate_status(), kStatusBusy);
    driver_.out(0x3f6, 4);
    EXPECT_EQ(disk_.in_flight(), 0U);
    driver_.out(0x3f6, 0);
    EXPECT_EQ(driver_.status(), 0x50);
    EXPECT_EQ(driver_.in(0x1f0, 2), 0xffffU);
}

// A command that waits for its host goes on where it was.
TEST_F(IdeTest, CommandsThatWaitAreSaved) {
    for (size_t i = 0; i < 1024; ++i)
        disk(2)[i] = static_cast<char>(i);
    driver_.command({.command = 0x20, .lba = 2, .count = 2});
    const std::string first = driver_.read_data(100);
    const auto pio = saved_bytes(ide_);
    driver_.out(0x3f6, 4);
    driver_.out(0x3f6, 0);
    StateReader reader(pio);
    ASSERT_TRUE(ide_.restore(reader));
    EXPECT_EQ(first + driver_.read_data(924), std::string(disk(2), 1024));
    EXPECT_EQ(driver_.status(), 0x50);

    driver_.command({.command = 0xc8, .lba = 2, .count = 1});
    const auto dma = saved_bytes(ide_);
    StateReader dma_reader(dma);
    ASSERT_TRUE(ide_.restore(dma_reader));
    driver_.start_bus_master(512, true);
    EXPECT_EQ(bench_.peek(kDmaData, 512), std::string(disk(2), 512));
}

TEST(IdeState, HasTheProperties) {
    StorageBench bench;
    MemoryBlock disk(kIdeDisk);
    MemoryBlock disc(kIdeDisk, true);
    check_saved_state(
        [&] {
            auto ide = std::make_unique<Ide>(bench.ide_wiring());
            ide->attach(0,
                        std::make_unique<AtaDisk>(AtaDeviceConfig{{}, AtaCable::parallel}, disk));
            ide->attach(3,
                        std::make_unique<AtaPacket>(AtaDeviceConfig{{}, AtaCable::parallel}, disc));
            return ide;
        },
        [&](Ide& ide) {
            IdeDriver driver(bench, ide);
            driver.command({.command = 0x34, .count = 2});
            driver.write_data(std::string(100, 'z'));
            ide.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
