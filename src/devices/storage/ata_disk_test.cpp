#include "devices/storage/ata_disk.hpp"

#include <gtest/gtest.h>

#include "devices/storage/ata_packet.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

using namespace ata;

constexpr uint64_t kAtaSectors = 16 * 63 * 20;

class AtaDiskTest : public testing::Test {
protected:
    AtaPlan start(const AtaCommand& command) { return disk_.start(command, work_); }
    uint64_t first_sector(const AtaCommand& command) {
        return start(command).data.offset / kSector;
    }
    uint16_t word(unsigned number) {
        const AtaPlan plan = start({.op = Op::identify_device});
        le16 value;
        std::memcpy(&value, plan.data.response.data() + 2 * number, 2);
        return value;
    }

    MemoryBlock medium_{kAtaSectors * kSector};
    AtaDisk disk_{{.cable = AtaCable::parallel}, medium_};
    BlockWork work_;
};

// ATA/ATAPI-6, 6.2: sector 1 of head 0 of cylinder 0 is LBA 0.
TEST_F(AtaDiskTest, AddressesByCylinderHeadAndSector) {
    EXPECT_EQ(first_sector({.op = Op::read_sectors, .count = 1, .lba = 0x000001}), 0U);
    EXPECT_EQ(first_sector({.op = Op::read_sectors, .device = 3, .count = 1, .lba = 0x000205}),
              (2U * 16 + 3) * 63 + 4);
    EXPECT_EQ(start({.op = Op::read_sectors, .count = 1, .lba = 0x000000}).output.error,
              kErrorIdNotFound)
        << "sectors count from 1";
    EXPECT_EQ(start({.op = Op::read_sectors, .count = 1, .lba = 0x000040}).data.kind,
              PlanKind::failed);
    // ATA/ATAPI-5, 8.16: another translation.
    EXPECT_EQ(start({.op = Op::initialize_device_parameters, .device = 7, .count = 32}).data.kind,
              PlanKind::complete);
    EXPECT_EQ(first_sector({.op = Op::read_sectors, .device = 3, .count = 1, .lba = 0x000205}),
              (2U * 8 + 3) * 32 + 4);
    EXPECT_EQ(word(55), 8U);
    EXPECT_EQ(word(56), 32U);
    EXPECT_EQ(word(3), 16U) << "the default one stays";
}

TEST_F(AtaDiskTest, AddressesByLba) {
    EXPECT_EQ(first_sector({.op = Op::read_dma, .device = 0x40, .count = 1, .lba = 0x1234}),
              0x1234U);
    EXPECT_EQ(start({.op = Op::read_dma, .device = 0x41, .count = 1}).output.error,
              kErrorIdNotFound)
        << "bits 27:24 are in the device register";
    EXPECT_EQ(start({.op = Op::read_dma, .device = 0x40}).data.length, 256 * kSector);
    EXPECT_EQ(start({.op = Op::read_dma_ext, .count = 0x100, .lba = 7}).data.length, 256 * kSector);
    EXPECT_EQ(start({.op = Op::read_dma_ext}).data.kind, PlanKind::failed)
        << "0 is 65536, more than there are";
    EXPECT_EQ(start({.op = Op::read_verify, .device = 0x40, .count = 1}).data.kind,
              PlanKind::complete);
}

// ACS-3, 7.24.3.
TEST_F(AtaDiskTest, MultipleIsAbortedUntilItIsSet) {
    const AtaCommand read{.op = Op::read_multiple, .device = 0x40, .count = 4};
    EXPECT_EQ(start(read).output.error, kErrorAbort);
    EXPECT_EQ(start({.op = Op::set_multiple_mode, .count = 3}).data.kind, PlanKind::failed);
    EXPECT_EQ(start({.op = Op::set_multiple_mode, .count = 8}).data.kind, PlanKind::complete);
    EXPECT_EQ(start(read).drq_length, 8 * kSector);
    EXPECT_EQ(word(59), 0x0108U);
}

TEST_F(AtaDiskTest, SetsFeatures) {
    const auto set = [&](uint16_t feature, uint16_t count = 0) {
        return start({.op = Op::set_features, .features = feature, .count = count}).data.kind;
    };
    EXPECT_EQ(word(85) & 0x20, 0x20);
    EXPECT_EQ(set(0x82), PlanKind::work) << "the cache is written";
    EXPECT_EQ(word(85) & 0x20, 0);
    EXPECT_TRUE(start({.op = Op::write_dma, .device = 0x40, .count = 1}).data.flush_after);
    EXPECT_EQ(set(0x02), PlanKind::complete);
    EXPECT_EQ(set(0x03, 0x45), PlanKind::complete) << "UDMA 5";
    EXPECT_EQ(word(88), 0x203fU);
    EXPECT_EQ(set(0x03, 0x46), PlanKind::failed);
    EXPECT_EQ(set(0x03, 0x0c), PlanKind::complete) << "PIO 4";
    EXPECT_EQ(word(88), 0x003fU);
    EXPECT_EQ(set(0x05), PlanKind::failed);
}

TEST_F(AtaDiskTest, TellsOnWhatCableItIs) {
    EXPECT_EQ(word(93), 0x6001U);
    EXPECT_EQ(word(76), 0U);
    EXPECT_EQ(start({.op = Op::read_fpdma_queued}).output.error, kErrorAbort);
    AtaDisk serial({}, medium_);
    EXPECT_EQ(serial.start({.op = Op::read_fpdma_queued, .features = 1}, work_).protocol,
              AtaProtocol::queued);
}

TEST_F(AtaDiskTest, TellsWhereAnErrorIs) {
    const AtaCommand read{.op = Op::read_dma, .device = 0x40, .count = 8, .lba = 100};
    const auto output = disk_.fail_plan(read, PlanRunner::Result::media_error, false, 3 * kSector);
    EXPECT_EQ(output.error, kErrorUncorrectable);
    EXPECT_EQ(output.lba, 103U);
}

TEST(AtaDiskReadOnly, AbortsWrites) {
    MemoryBlock medium(kAtaSectors * kSector, true);
    AtaDisk disk({}, medium);
    BlockWork work;
    EXPECT_EQ(disk.start({.op = Op::write_dma_ext, .count = 1}, work).output.error, kErrorAbort);
    EXPECT_EQ(
        disk.start({.op = Op::data_set_management, .features = 1, .count = 1}, work).output.error,
        kErrorAbort);
}

TEST(AtaDeviceState, IsValidated) {
    MemoryBlock medium(kAtaSectors * kSector);
    AtaDisk disk({}, medium);
    const auto refused = [&](auto change) {
        AtaDeviceStateV1 state;
        change(state);
        return !disk.restore(state);
    };
    EXPECT_TRUE(refused([](AtaDeviceStateV1& s) { s.multiple = 3; }));
    EXPECT_TRUE(refused([](AtaDeviceStateV1& s) { s.heads = 0; }));
    EXPECT_TRUE(refused([](AtaDeviceStateV1& s) { s.sectors_per_track = 0; }));
    EXPECT_TRUE(refused([](AtaDeviceStateV1& s) { s.transfer_mode = 0x80; }));
    EXPECT_TRUE(refused([](AtaDeviceStateV1& s) { s.failed_tag = 32; }));
    EXPECT_FALSE(refused([](AtaDeviceStateV1& s) { s.multiple = 16; }));
}

// ATA/ATAPI-6, 9.12.
TEST(AtaPacketDevice, SaysByItsSignatureWhatItIs) {
    MemoryBlock medium(1 << 20, true);
    AtaPacket device({}, medium);
    BlockWork work;
    for (const Op op : {Op::identify_device, Op::read_sectors}) {
        const AtaPlan plan = device.start({.op = op}, work);
        EXPECT_EQ(plan.data.kind, PlanKind::failed);
        EXPECT_EQ(plan.output.lba, kSignaturePacket);
    }
    EXPECT_EQ(device.start({.op = Op::device_reset}, work).output.lba, kSignaturePacket);
    EXPECT_EQ(device.start({.op = Op::packet}, work).protocol, AtaProtocol::packet);
}

}  // namespace
}  // namespace banyan
