#include "devices/virtio/virtio_scsi.hpp"

#include <cstddef>
#include <gtest/gtest.h>

#include "devices/scsi/scsi_cdrom.hpp"
#include "devices/scsi/scsi_disk.hpp"
#include "devices/virtio/testing/guest_driver.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using namespace virtio;

constexpr uint64_t kScsiDisk = 64 * 1024;
constexpr Gpa kRequest{0x1000};
constexpr Gpa kResponse{0x1800};
constexpr Gpa kScsiData{0x2000};
constexpr uint32_t kRequestLength = 19 + 32;
constexpr uint32_t kResponseLength = 12 + 96;
constexpr uint8_t kScsiNoResponse = 0x7f;

std::vector<VirtioScsiUnit> disk_and_disc(BlockBackend& disk, BlockBackend& disc) {
    std::vector<VirtioScsiUnit> units;
    units.push_back({0, 0, std::make_unique<ScsiDisk>(ScsiUnitConfig{.serial = "unit-0"}, disk)});
    units.push_back({2, 1, std::make_unique<ScsiCdrom>(ScsiUnitConfig{}, disc)});
    return units;
}

// A disk at target 0, LUN 0, a CD-ROM drive at target 2, LUN 1, and their driver.
struct ScsiGuest {
    ScsiGuest()
        : pci(std::make_unique<VirtioScsi>(bench.ram.memory(), disk_and_disc(disk, disc)),
              bench.wiring()),
          driver(bench, pci) {}

    void start() {
        ASSERT_TRUE(driver.negotiate(kModernRings));
        control.emplace(driver.setup_queue(kScsiControlQueue, 64));
        (void)driver.setup_queue(kScsiEventQueue, 64);
        requests.emplace(driver.setup_queue(kScsiRequestQueue, 128));
        driver.driver_ok();
    }
    // Gives the response, or kScsiNoResponse while there is none.
    uint8_t request(uint8_t target, uint8_t lun, std::vector<uint8_t> cdb, uint32_t in = 0,
                    uint32_t out = 0) {
        std::array<uint8_t, kRequestLength> bytes{1, target, 0, lun, 0, 0, 0, 0, 0x77};
        std::copy(cdb.begin(), cdb.end(), bytes.begin() + 19);
        EXPECT_TRUE(bench.ram.memory().write_object(kRequest, bytes));
        ScsiResponseHeader none;
        none.response = kScsiNoResponse;
        EXPECT_TRUE(bench.ram.memory().write_object(kResponse, none));
        std::vector<GuestBuffer> buffers{{kRequest, kRequestLength}};
        if (out != 0) buffers.push_back({kScsiData, out});
        buffers.push_back({kResponse, kResponseLength, true});
        if (in != 0) buffers.push_back({kScsiData, in, true});
        requests->add(buffers);
        driver.notify(kScsiRequestQueue);
        return response().response;
    }
    uint8_t management(ScsiTaskFunction function, uint8_t target, uint8_t lun, uint64_t id = 0) {
        ScsiTaskManagement asked;
        asked.function = static_cast<uint32_t>(function);
        asked.lun = {1, target, 0, lun};
        asked.id = id;
        EXPECT_TRUE(bench.ram.memory().write_object(kScsiData, asked));
        control->add({{kScsiData, sizeof(asked)}, {kResponse, 1, true}});
        driver.notify(kScsiControlQueue);
        return static_cast<uint8_t>(driver.peek(kResponse, 1)[0]);
    }
    ScsiResponseHeader response() {
        ScsiResponseHeader header;
        EXPECT_TRUE(bench.ram.memory().read_object(kResponse, header));
        return header;
    }
    bool needs_reset() { return (driver.status() & kStatusNeedsReset) != 0; }

    VirtioBench bench;
    MemoryBlock disk{kScsiDisk};
    MemoryBlock disc{kScsiDisk, true};
    VirtioPci pci;
    GuestDriver driver;
    std::optional<GuestQueue> control;
    std::optional<GuestQueue> requests;
};

class VirtioScsiTest : public testing::Test {
protected:
    void SetUp() override {
        guest_.start();
        EXPECT_EQ(guest_.request(0, 0, {0}), 0);
        EXPECT_EQ(guest_.response().status, scsi::kStatusCheckCondition);
        (void)guest_.request(2, 1, {0});
    }
    ScsiGuest guest_;
};

TEST_F(VirtioScsiTest, ShowsItsConfiguration) {
    EXPECT_EQ(guest_.pci.config_read(2, 2), 0x1048U);
    EXPECT_EQ(guest_.driver.read_config(offsetof(ScsiConfig, num_queues), 4), 1U);
    EXPECT_EQ(guest_.driver.read_config(offsetof(ScsiConfig, max_target), 2), 2U);
    EXPECT_EQ(guest_.driver.read_config(offsetof(ScsiConfig, sense_size), 4), 96U);
    guest_.driver.write_config(offsetof(ScsiConfig, sense_size), 4, 18);
    EXPECT_EQ(guest_.driver.read_config(offsetof(ScsiConfig, sense_size), 4), 18U);
    guest_.driver.write_config(offsetof(ScsiConfig, cdb_size), 4, 0);
    EXPECT_EQ(guest_.driver.read_config(offsetof(ScsiConfig, cdb_size), 4), 32U);
}

TEST_F(VirtioScsiTest, ReadsAndWrites) {
    guest_.driver.poke(kScsiData, std::string(1024, 'w'));
    EXPECT_EQ(guest_.request(0, 0, {0x2a, 0, 0, 0, 0, 3, 0, 0, 2}, 0, 1024), 0);
    EXPECT_EQ(guest_.response().status, 0);
    EXPECT_EQ(static_cast<char>(guest_.disk.bytes()[3 * 512]), 'w');
    guest_.driver.poke(kScsiData, std::string(1024, '\0'));
    EXPECT_EQ(guest_.request(0, 0, {0x28, 0, 0, 0, 0, 3, 0, 0, 1}, 1024), 0);
    EXPECT_EQ(guest_.response().residual, 512U);
    EXPECT_EQ(guest_.driver.peek(kScsiData, 1024), std::string(512, 'w') + std::string(512, '\0'));
    std::optional<UsedElement> used;
    while (auto element = guest_.requests->take_used())
        used = element;
    EXPECT_EQ(used->length, kResponseLength + 512);
}

// 5.6.6.1: sense data come with the response.
TEST_F(VirtioScsiTest, DeliversSenseData) {
    EXPECT_EQ(guest_.request(0, 0, {0x28, 0, 0, 0, 1, 0, 0, 0, 1}, 512), 0);
    EXPECT_EQ(guest_.response().status, scsi::kStatusCheckCondition);
    EXPECT_EQ(guest_.response().sense_length, 18U);
    EXPECT_EQ(guest_.response().residual, 512U);
    EXPECT_EQ(guest_.driver.peek(kResponse + 12, 3), std::string("\x70\0\5", 3));
    EXPECT_EQ(guest_.driver.peek(kResponse + 24, 1), "\x21");
    EXPECT_EQ(guest_.request(0, 0, {0x28, 0, 0, 0, 0, 0, 0, 0, 2}, 512), 1) << "overrun";
    EXPECT_EQ(guest_.request(0, 0, {0x2a, 0, 0, 0, 0, 0, 0, 0, 2}, 0, 512), 1);
}

TEST_F(VirtioScsiTest, FindsTargetsAndUnits) {
    EXPECT_EQ(guest_.request(1, 0, {0x12, 0, 0, 0, 36}, 36), 3) << "no such target";
    EXPECT_EQ(guest_.request(2, 0, {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64}, 64), 0);
    EXPECT_EQ(guest_.driver.peek(kScsiData, 16),
              std::string("\0\0\0\x08\0\0\0\0\0\1\0\0\0\0\0\0", 16));
    EXPECT_EQ(guest_.request(2, 0, {0x12, 0, 0, 0, 36}, 36), 0);
    EXPECT_EQ(guest_.driver.peek(kScsiData, 1), "\x7f") << "no such unit";
    EXPECT_EQ(guest_.request(2, 0, {0}), 0);
    EXPECT_EQ(guest_.response().status, scsi::kStatusCheckCondition);
    EXPECT_EQ(guest_.request(2, 1, {0x12, 0, 0, 0, 36}, 36), 0);
    EXPECT_EQ(guest_.driver.peek(kScsiData, 1), "\x05");
    EXPECT_EQ(guest_.request(2, 1, {0x28, 0, 0, 0, 0, 1, 0, 0, 1}, 2048), 0);
    EXPECT_EQ(guest_.response().residual, 0U);
}

// 5.6.6.2.
TEST_F(VirtioScsiTest, ManagesTasks) {
    guest_.disk.hold(true);
    EXPECT_EQ(guest_.request(0, 0, {0x35}), kScsiNoResponse);
    EXPECT_EQ(guest_.management(ScsiTaskFunction::query_task, 0, 0, 0x77), 10);
    EXPECT_EQ(guest_.management(ScsiTaskFunction::query_task, 0, 0, 0x78), 0);
    EXPECT_EQ(guest_.management(ScsiTaskFunction::abort_task, 0, 0, 0x77), 0);
    EXPECT_EQ(guest_.disk.in_flight(), 0U);
    EXPECT_EQ(guest_.requests->used_index(), 3U) << "it has come back";
    guest_.disk.hold(false);
    EXPECT_EQ(guest_.management(ScsiTaskFunction::logical_unit_reset, 0, 0), 0);
    (void)guest_.request(0, 0, {0});
    EXPECT_EQ(guest_.response().status, scsi::kStatusCheckCondition) << "attention";
    EXPECT_EQ(guest_.management(ScsiTaskFunction::abort_task, 1, 0), 3);
    EXPECT_EQ(guest_.management(ScsiTaskFunction::abort_task, 2, 0), 12);
    EXPECT_EQ(guest_.management(ScsiTaskFunction::clear_aca, 0, 0), 11);
}

TEST_F(VirtioScsiTest, ARequestWithoutHeaderOrResponseNeedsReset) {
    guest_.requests->add({{kRequest, kRequestLength - 1}, {kResponse, kResponseLength, true}});
    guest_.driver.notify(kScsiRequestQueue);
    EXPECT_TRUE(guest_.needs_reset());
    guest_.start();
    guest_.requests->add({{kRequest, kRequestLength}, {kResponse, kResponseLength - 1, true}});
    guest_.driver.notify(kScsiRequestQueue);
    EXPECT_TRUE(guest_.needs_reset());
}

TEST_F(VirtioScsiTest, SaveDrainsAndTheRestGoesOnLater) {
    guest_.disk.hold(true);
    for (unsigned i = 0; i < VirtioScsi::kMaxInFlight + 4; ++i)
        (void)guest_.request(0, 0, {0x35});
    EXPECT_EQ(guest_.disk.in_flight(), VirtioScsi::kMaxInFlight);
    const auto bytes = saved_bytes(guest_.pci);
    EXPECT_EQ(guest_.disk.in_flight(), 0U);
    EXPECT_EQ(guest_.requests->used_index(), 2U + VirtioScsi::kMaxInFlight);
    guest_.pci.reset();
    StateReader reader(bytes);
    ASSERT_TRUE(guest_.pci.restore(reader));
    guest_.bench.timers.advance(1'000'000);
    guest_.disk.drain();
    EXPECT_EQ(guest_.requests->used_index(), 2U + VirtioScsi::kMaxInFlight + 4);
}

TEST(VirtioScsiState, HasTheProperties) {
    VirtioBench bench;
    MemoryBlock disk(kScsiDisk);
    MemoryBlock disc(kScsiDisk, true);
    check_saved_state(
        [&] {
            return std::make_unique<VirtioPci>(
                std::make_unique<VirtioScsi>(bench.ram.memory(), disk_and_disc(disk, disc)),
                bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver driver(bench, pci);
            ASSERT_TRUE(driver.negotiate(kModernRings));
            (void)driver.setup_queue(kScsiRequestQueue, 128);
            driver.driver_ok();
            driver.write_config(offsetof(ScsiConfig, sense_size), 4, 18);
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
