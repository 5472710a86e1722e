// The transport, and what all devices share, with the entropy device behind it.
#include "devices/virtio/virtio_pci.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/testing/guest_driver.hpp"
#include "devices/virtio/virtio_console.hpp"
#include "devices/virtio/virtio_rng.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using virtio::Common;
using virtio::kNoVector;

class VirtioPciTest : public testing::Test {
protected:
    GuestQueue start(uint64_t features = kModern, uint16_t size = 8) {
        EXPECT_TRUE(guest_.negotiate(features));
        GuestQueue queue = guest_.setup_queue(0, size);
        guest_.driver_ok();
        return queue;
    }
    uint64_t common(Common reg, unsigned size) { return guest_.read(reg, size); }

    VirtioBench bench_;
    FakeEntropy entropy_;
    VirtioPci pci_{std::make_unique<VirtioRng>(VirtioRngWiring{bench_.ram.memory(), entropy_}),
                   bench_.wiring()};
    GuestDriver guest_{bench_, pci_};
};

// 4.1.2 "PCI Device Discovery".
TEST_F(VirtioPciTest, IsAModernDevice) {
    EXPECT_EQ(pci_.config_read(0, 4), 0x10441af4U);
    EXPECT_EQ(pci_.config_read(8, 1), 1U);
    EXPECT_GE(pci_.config_read(0x2e, 2), 0x40U);
    EXPECT_EQ(pci_.name(), "virtio-rng");
    EXPECT_FALSE(guest_.has_config());
}

TEST_F(VirtioPciTest, OffersFeaturesByHalves) {
    EXPECT_EQ(guest_.offered_features(), kOfferedByAll | virtio::kFeatureInOrder);
    guest_.write(Common::device_feature_select, 4, 2);
    EXPECT_EQ(common(Common::device_feature, 4), 0U);
}

TEST_F(VirtioPciTest, RefusesFeaturesThatItDoesNotOffer) {
    EXPECT_FALSE(guest_.negotiate(kModern | 1));
    EXPECT_FALSE(guest_.negotiate(virtio::kFeatureEventIdx)) << "a legacy driver";
    EXPECT_TRUE(guest_.negotiate(kModernRings));
    EXPECT_TRUE(guest_.negotiate(kModern | virtio::kFeatureAccessPlatform)) << "as iPXE does";
}

TEST_F(VirtioPciTest, FeaturesAreFixedOnceAccepted) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    guest_.write(Common::driver_feature_select, 4, 0);
    guest_.write(Common::driver_feature, 4, ~0U);
    EXPECT_EQ(common(Common::driver_feature, 4), 0U);
}

TEST_F(VirtioPciTest, StatusBitsAreOnlyAdded) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    guest_.write(Common::device_status, 1, virtio::kStatusAcknowledge);
    EXPECT_EQ(guest_.status(),
              virtio::kStatusAcknowledge | virtio::kStatusDriver | virtio::kStatusFeaturesOk);
    guest_.write(Common::device_status, 1, virtio::kStatusNeedsReset);
    EXPECT_EQ(guest_.status() & virtio::kStatusNeedsReset, 0);
    guest_.reset();
    EXPECT_EQ(guest_.status(), 0);
}

TEST_F(VirtioPciTest, DriverOkNeedsFeaturesOk) {
    guest_.write(Common::device_status, 1, virtio::kStatusDriverOk | virtio::kStatusDriver);
    EXPECT_EQ(guest_.status(), virtio::kStatusDriver);
}

TEST_F(VirtioPciTest, RegistersTakeTheirOwnWidthOnly) {
    EXPECT_EQ(common(Common::num_queues, 2), 1U);
    EXPECT_EQ(common(Common::num_queues, 1), 0xffU);
    EXPECT_EQ(common(Common::device_status, 4), 0xffffffffU);
    const uint64_t desc = GuestDriver::kRegistersBase + static_cast<uint64_t>(Common::queue_desc);
    EXPECT_EQ(bench_.mapper.write(desc, 8, 0x1'2345'6780), IoStatus::ok);
    EXPECT_EQ(bench_.mapper.read(desc + 4, 4), 1U);
    EXPECT_EQ(bench_.mapper.write(desc + 4, 4, 2), IoStatus::ok);
    EXPECT_EQ(bench_.mapper.read(desc, 8), 0x2'2345'6780U);
    EXPECT_EQ(bench_.mapper.write(desc + 2, 2, 0), IoStatus::bad_size);
    EXPECT_EQ(bench_.mapper.write(GuestDriver::kRegistersBase + 0x40, 4, 0), IoStatus::no_register);
}

TEST_F(VirtioPciTest, QueuesThatDoNotExistHaveSizeZero) {
    EXPECT_EQ(common(Common::queue_size, 2), 64U);
    guest_.write(Common::queue_select, 2, 1);
    EXPECT_EQ(common(Common::queue_size, 2), 0U);
    guest_.write(Common::queue_enable, 2, 1);
    EXPECT_EQ(common(Common::queue_enable, 2), 0U);
}

TEST_F(VirtioPciTest, ServesAQueue) {
    GuestQueue queue = start();
    EXPECT_EQ(common(Common::queue_enable, 2), 1U);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(queue.take_used()->length, 4U);
    EXPECT_EQ(guest_.peek({0x1000}, 4), "\1\2\3\4");
}

TEST_F(VirtioPciTest, BuffersFromBeforeDriverOkAreServedThen) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    GuestQueue queue = guest_.setup_queue(0, 8);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(queue.used_index(), 0U) << "2.1.2: not before DRIVER_OK";
    guest_.driver_ok();
    EXPECT_EQ(queue.used_index(), 1U);
}

TEST_F(VirtioPciTest, UsesIntxWithoutMsix) {
    GuestQueue queue = start();
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_TRUE(bench_.irq.level());
    EXPECT_EQ(guest_.read_isr(), virtio::kIsrQueue);
    EXPECT_FALSE(bench_.irq.level());
    EXPECT_EQ(guest_.read_isr(), 0);
    EXPECT_EQ(bench_.msi.count(), 0U);
}

TEST_F(VirtioPciTest, UsesTheQueuesVectorWithMsix) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    guest_.enable_msix();
    GuestQueue queue = guest_.setup_queue(0, 8);
    guest_.driver_ok();
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    ASSERT_EQ(bench_.msi.count(), 1U);
    EXPECT_EQ(bench_.msi.messages()[0].data, GuestDriver::kMsiData + 1);
    EXPECT_FALSE(bench_.irq.level());
    EXPECT_EQ(guest_.read_isr(), 0);
}

TEST_F(VirtioPciTest, AMaskedVectorStaysPending) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    guest_.enable_msix();
    GuestQueue queue = guest_.setup_queue(0, 8);
    guest_.driver_ok();
    (void)bench_.mapper.write(GuestDriver::kMsixBase + 16 + 12, 4, 1);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(bench_.msi.count(), 0U);
    EXPECT_EQ(bench_.mapper.read(GuestDriver::kMsixBase + 0x800, 4), 2U);
    (void)bench_.mapper.write(GuestDriver::kMsixBase + 16 + 12, 4, 0);
    EXPECT_EQ(bench_.msi.count(), 1U);
}

TEST_F(VirtioPciTest, VectorsThatDoNotExistReadBackAsNone) {
    guest_.write(Common::config_msix_vector, 2, 1);
    EXPECT_EQ(common(Common::config_msix_vector, 2), 1U);
    guest_.write(Common::config_msix_vector, 2, 2);
    EXPECT_EQ(common(Common::config_msix_vector, 2), kNoVector);
    guest_.write(Common::queue_msix_vector, 2, 77);
    EXPECT_EQ(common(Common::queue_msix_vector, 2), kNoVector);
}

TEST_F(VirtioPciTest, ABrokenRingNeedsReset) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    guest_.enable_msix();
    GuestQueue queue = guest_.setup_queue(0, 8);
    guest_.driver_ok();
    queue.set_available_index(100);
    guest_.notify(0);
    EXPECT_NE(guest_.status() & virtio::kStatusNeedsReset, 0);
    ASSERT_EQ(bench_.msi.count(), 1U);
    EXPECT_EQ(bench_.msi.messages()[0].data, GuestDriver::kMsiData);
    EXPECT_EQ(guest_.read_isr(), virtio::kIsrConfig);
    // Until then the queue stands still, even when it looks right again.
    queue.set_available_index(0);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(queue.used_index(), 0U);

    GuestQueue again = start();
    again.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(again.used_index(), 1U);
}

TEST_F(VirtioPciTest, AQueueOutsideMemoryNeedsReset) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    guest_.write(Common::queue_desc, 8, VirtioBench::kRamSize);
    guest_.write(Common::queue_enable, 2, 1);
    EXPECT_NE(guest_.status() & virtio::kStatusNeedsReset, 0);
    EXPECT_EQ(common(Common::queue_enable, 2), 0U);
}

TEST_F(VirtioPciTest, QueuesAreEnabledOnlyAfterFeaturesOk) {
    guest_.reset();
    (void)guest_.setup_queue(0, 8);
    EXPECT_EQ(common(Common::queue_enable, 2), 0U);
    EXPECT_EQ(guest_.status(), 0);
}

TEST_F(VirtioPciTest, NotificationsForNothingAreIgnored) {
    guest_.notify(0);
    guest_.notify(1);
    EXPECT_EQ(bench_.mapper.write(GuestDriver::kRegistersBase + 0x3ffc, 4, 0),
              IoStatus::no_register);
    EXPECT_EQ(guest_.status(), 0);
}

TEST_F(VirtioPciTest, LeavesMemoryAloneWithoutBusMastering) {
    GuestQueue queue = start();
    pci_.config_write(4, 2, 2);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(queue.used_index(), 0U);
    pci_.config_write(4, 2, 6);
    EXPECT_EQ(queue.used_index(), 1U) << "what waited is served at once";
}

TEST_F(VirtioPciTest, ResetByTheDriverForgetsTheQueues) {
    GuestQueue queue = start();
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    guest_.reset();
    EXPECT_EQ(common(Common::queue_enable, 2), 0U);
    EXPECT_EQ(common(Common::queue_size, 2), 64U);
    EXPECT_EQ(common(Common::queue_msix_vector, 2), kNoVector);
    EXPECT_FALSE(bench_.irq.level());
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(queue.used_index(), 1U);
}

// Buffers that lie over the available index let the device make buffers available to itself. It
// must come back to the vCPU all the same.
TEST_F(VirtioPciTest, ARunIsBoundedAndGoesOnLater) {
    GuestQueue queue = start(kModern, 64);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    // FakeEntropy counts up from 5 now, so that the index stays ahead of what was served.
    for (unsigned i = 0; i < 63; ++i)
        queue.add({{{0x1000}, 1, true}});
    for (uint16_t i = 0; i < 64; ++i) {
        queue.write_descriptor(i, {queue.available().value + 2, 1, virtio::kDescWrite, 0});
    }
    guest_.notify(0);
    EXPECT_EQ(queue.used_index(), 1U + 2 * 64);
    EXPECT_EQ(bench_.timers.armed(), 1U);
    bench_.timers.advance(1'000'000);
    EXPECT_GT(queue.used_index(), 1U + 2 * 64);
}

// 4.1.4.9 "PCI configuration access capability".
TEST_F(VirtioPciTest, RegistersAreReachedThroughConfigurationSpace) {
    const uint16_t at = guest_.pci_cfg_capability();
    const auto select = [&](uint32_t bar, uint32_t offset, uint32_t length) {
        pci_.config_write(static_cast<uint16_t>(at + 4), 1, bar);
        pci_.config_write(static_cast<uint16_t>(at + 8), 4, offset);
        pci_.config_write(static_cast<uint16_t>(at + 12), 4, length);
    };
    const auto data = static_cast<uint16_t>(at + 16);
    pci_.config_write(4, 2, 0);  // works without memory decoding
    select(0, static_cast<uint32_t>(Common::device_status), 1);
    pci_.config_write(data, 1, virtio::kStatusAcknowledge);
    EXPECT_EQ(pci_.config_read(data, 1), virtio::kStatusAcknowledge);
    select(0, static_cast<uint32_t>(Common::num_queues), 2);
    EXPECT_EQ(pci_.config_read(data, 2), 1U);
    select(2, 12, 4);
    EXPECT_EQ(pci_.config_read(data, 4), 1U) << "vector control of vector 0";
    select(0, 0x3fff, 2);
    pci_.config_write(data, 2, 0xbeef);
    EXPECT_EQ(pci_.config_read(data, 2), 0xbeefU) << "nothing is selected: plain bytes";
    for (const uint32_t bar : {1U, 5U, 6U, 255U}) {
        select(bar, 0, 4);
        pci_.config_write(data, 4, 0x12345678);
        EXPECT_EQ(pci_.config_read(data, 4), 0x12345678U);
    }
    select(0, 0xfffffffc, 4);
    pci_.config_write(data, 4, 1);
    EXPECT_EQ(guest_.device().config_read(data, 4), 1U);
}

TEST_F(VirtioPciTest, GoesOnAfterRestore) {
    ASSERT_TRUE(guest_.negotiate(kModernRings));
    guest_.enable_msix();
    GuestQueue queue = guest_.setup_queue(0, 8);
    guest_.driver_ok();
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    const auto bytes = saved_bytes(pci_);
    queue.set_used_event(1);
    queue.add({{{0x1000}, 4, true}});  // and the notification is lost on the way
    pci_.reset();
    StateReader reader(bytes);
    ASSERT_TRUE(pci_.restore(reader));
    EXPECT_EQ(queue.used_index(), 1U) << "nothing moves before the guest's time does";
    bench_.msi.clear();
    bench_.timers.advance(1'000'000);
    EXPECT_EQ(queue.used_index(), 2U);
    EXPECT_EQ(bench_.msi.count(), 1U);
}

TEST_F(VirtioPciTest, ServesAPackedQueue) {
    ASSERT_TRUE(guest_.negotiate(kModernPacked));
    guest_.enable_msix();
    PackedGuestQueue queue = guest_.setup_packed_queue(0, 8);
    guest_.driver_ok();
    for (unsigned i = 0; i < 20; ++i) {
        const uint16_t id = queue.add({{{0x1000}, 4, true}});
        guest_.notify(0);
        const auto used = queue.take_used();
        ASSERT_TRUE(used) << i;
        EXPECT_EQ(used->id, id);
        EXPECT_EQ(used->length, 4U);
    }
    EXPECT_EQ(bench_.msi.count(), 20U);
}

TEST_F(VirtioPciTest, APackedQueueGoesOnAfterRestore) {
    ASSERT_TRUE(guest_.negotiate(kModernPacked));
    PackedGuestQueue queue = guest_.setup_packed_queue(0, 3);
    guest_.driver_ok();
    for (unsigned i = 0; i < 10; ++i) {
        queue.add({{{0x1000}, 4, true}});
        guest_.notify(0);
        ASSERT_TRUE(queue.take_used());
        const auto bytes = saved_bytes(pci_);
        pci_.reset();
        StateReader reader(bytes);
        ASSERT_TRUE(pci_.restore(reader));
    }
}

// 4.1.5.2 with NOTIFICATION_DATA: 32 bits, of which the place says as much as is needed.
TEST_F(VirtioPciTest, TakesNotificationsWithData) {
    GuestQueue queue = start(kModern | virtio::kFeatureNotificationData);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify_with_data(0, 1U << 16);
    EXPECT_EQ(queue.used_index(), 1U);
}

// 4.1.4.3: with NOTIF_CONFIG_DATA drivers notify with what this register says.
TEST_F(VirtioPciTest, SaysWhatToNotifyWith) {
    guest_.write(Common::queue_select, 2, 0);
    EXPECT_EQ(common(Common::queue_notify_data, 2), 0U);
}

// 2.6.1 "Virtqueue Reset".
TEST_F(VirtioPciTest, AQueueIsResetAlone) {
    ASSERT_TRUE(guest_.negotiate(kModern | virtio::kFeatureRingReset));
    guest_.enable_msix();
    GuestQueue queue = guest_.setup_queue(0, 8);
    guest_.driver_ok();
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    guest_.reset_queue(0);
    EXPECT_EQ(common(Common::queue_reset, 2), 0U);
    EXPECT_EQ(common(Common::queue_enable, 2), 0U);
    EXPECT_EQ(common(Common::queue_size, 2), 64U);
    EXPECT_EQ(common(Common::queue_desc, 8), 0U);
    EXPECT_EQ(common(Common::queue_msix_vector, 2), kNoVector);
    EXPECT_NE(guest_.status() & virtio::kStatusDriverOk, 0);
    queue.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(queue.used_index(), 1U) << "not in use";

    GuestQueue again = guest_.setup_queue(0, 4);
    again.add({{{0x1000}, 4, true}});
    guest_.notify(0);
    EXPECT_EQ(again.used_index(), 1U);
}

TEST_F(VirtioPciTest, AQueueIsResetOnlyByAgreement) {
    (void)start();
    guest_.reset_queue(0);
    EXPECT_EQ(common(Common::queue_enable, 2), 1U);
}

TEST_F(VirtioPciTest, RefusesStateOfOtherFeatures) {
    ASSERT_TRUE(guest_.negotiate(kModern));
    StateWriter writer;
    pci_.save(writer);
    VirtioBench bench;
    RecordingChar out;
    VirtioPci console(std::make_unique<VirtioConsole>(VirtioConsoleWiring{bench.ram.memory(), out}),
                      bench.wiring());
    StateReader reader(writer.bytes());
    EXPECT_FALSE(console.restore(reader));
    EXPECT_EQ(bench.mapper.count(), 0U);
}

TEST(VirtioPciState, HasTheProperties) {
    VirtioBench bench;
    FakeEntropy entropy;
    check_saved_state(
        [&] {
            return std::make_unique<VirtioPci>(
                std::make_unique<VirtioRng>(VirtioRngWiring{bench.ram.memory(), entropy}),
                bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver guest(bench, pci);
            ASSERT_TRUE(guest.negotiate(kModernRings));
            guest.enable_msix();
            GuestQueue queue = guest.setup_queue(0, 8);
            guest.driver_ok();
            queue.add({{{0x1000}, 4, true}});
            guest.notify(0);
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
