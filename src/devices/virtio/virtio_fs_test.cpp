#include "devices/virtio/virtio_fs.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/testing/fake_share.hpp"
#include "devices/virtio/testing/guest_driver.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using namespace virtio;

constexpr Gpa kIn{0x1000};
constexpr Gpa kOut{0x2000};
constexpr uint32_t kRoom = 256;

struct FsGuest {
    explicit FsGuest(std::string_view tag = "host")
        : pci(std::make_unique<VirtioFs>(tag, VirtioFsWiring{bench.ram.memory(), share}),
              bench.wiring()),
          driver(bench, pci) {}

    void start() {
        ASSERT_TRUE(driver.negotiate(kModernRings));
        urgent.emplace(driver.setup_queue(kFsHighPriorityQueue, 64));
        requests.emplace(driver.setup_queue(kFsRequestQueue, 128));
        driver.driver_ok();
    }
    void offer(GuestQueue& queue, uint16_t index, std::initializer_list<GuestBuffer> buffers) {
        queue.add(buffers);
        driver.notify(index);
    }
    bool needs_reset() { return (driver.status() & kStatusNeedsReset) != 0; }

    VirtioBench bench;
    FakeShare share;
    VirtioPci pci;
    GuestDriver driver;
    std::optional<GuestQueue> urgent;
    std::optional<GuestQueue> requests;
};

TEST(VirtioFs, ShowsItsTagAndQueues) {
    FsGuest guest;
    EXPECT_EQ(guest.pci.config_read(2, 2), 0x1040U + kDeviceFs);
    EXPECT_EQ(guest.driver.read(Common::num_queues, 2), 2U);
    std::string tag;
    for (uint64_t i = 0; i < kFsTagLength; ++i)
        tag += static_cast<char>(guest.driver.read_config(i, 1));
    EXPECT_EQ(tag, "host" + std::string(kFsTagLength - 4, '\0'));
    EXPECT_EQ(guest.driver.read_config(kFsTagLength, 4), 1U);
    FsGuest full(std::string(kFsTagLength + 5, 't'));
    EXPECT_EQ(full.driver.read_config(kFsTagLength - 1, 1), 't');
    EXPECT_EQ(full.driver.read_config(kFsTagLength, 4), 1U);
}

TEST(VirtioFs, HandsMessagesOnAndAnswersBack) {
    FsGuest guest;
    guest.start();
    guest.driver.poke(kIn, std::string(kFsInHeaderSize, 'h') + "body");
    guest.share.answer_with("an answer of the share");
    // A header apart from the rest, and room in two pieces.
    guest.offer(*guest.requests, kFsRequestQueue,
                {{kIn, kFsInHeaderSize},
                 {kIn + kFsInHeaderSize, 4},
                 {kOut, 10, true},
                 {kOut + 10, kRoom, true}});
    EXPECT_EQ(guest.share.last_message, std::string(kFsInHeaderSize, 'h') + "body");
    const auto used = guest.requests->take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->length, 22U);
    EXPECT_EQ(guest.driver.peek(kOut, 22), "an answer of the share");
    EXPECT_NE(guest.driver.read_isr() & kIsrQueue, 0);
}

TEST(VirtioFs, UrgentRequestsNeedNoRoom) {
    FsGuest guest;
    guest.start();
    guest.offer(*guest.urgent, kFsHighPriorityQueue, {{kIn, kFsInHeaderSize + 8}});
    const auto used = guest.urgent->take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->length, 0U);
    EXPECT_FALSE(guest.needs_reset());
}

TEST(VirtioFs, MessagesWithoutAHeaderBreakTheDevice) {
    FsGuest guest;
    guest.start();
    guest.offer(*guest.requests, kFsRequestQueue,
                {{kIn, kFsInHeaderSize - 1}, {kOut, kRoom, true}});
    EXPECT_TRUE(guest.needs_reset());
    EXPECT_EQ(guest.share.submitted, 0U);
}

TEST(VirtioFs, MoreThanItHoldsWaitInTheRing) {
    FsGuest guest;
    guest.start();
    guest.share.hold(true);
    const std::array<GuestBuffer, 2> buffers{{{kIn, kFsInHeaderSize}, {kOut, kRoom, true}}};
    for (unsigned i = 0; i < VirtioFs::kMaxInFlight + 10; ++i)
        guest.requests->add_indirect(buffers, {0x80000});
    guest.driver.notify(kFsRequestQueue);
    EXPECT_EQ(guest.share.submitted, VirtioFs::kMaxInFlight);
    EXPECT_EQ(guest.requests->used_index(), 0U);
    guest.share.hold(false);
    guest.share.drain();
    guest.bench.timers.advance(1'000'000);
    EXPECT_EQ(guest.share.submitted, VirtioFs::kMaxInFlight + 10);
    EXPECT_EQ(guest.requests->used_index(), VirtioFs::kMaxInFlight + 10);
}

TEST(VirtioFs, AResetWaitsAndForgets) {
    FsGuest guest;
    guest.start();
    guest.share.hold(true);
    guest.offer(*guest.requests, kFsRequestQueue, {{kIn, kFsInHeaderSize}, {kOut, kRoom, true}});
    const unsigned before = guest.share.resets;
    guest.driver.reset();
    EXPECT_EQ(guest.share.held(), 0U);
    EXPECT_EQ(guest.share.resets, before + 1);
}

TEST(VirtioFs, SavedStateIsCompleteAndSafe) {
    VirtioBench bench;
    FakeShare share;
    check_saved_state(
        [&] {
            auto fs =
                std::make_unique<VirtioFs>("host", VirtioFsWiring{bench.ram.memory(), share});
            return std::make_unique<VirtioPci>(std::move(fs), bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver driver(bench, pci);
            ASSERT_TRUE(driver.negotiate(kModernRings));
            (void)driver.setup_queue(kFsRequestQueue, 128);
            driver.driver_ok();
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

TEST(VirtioFs, AMountedShareIsNotLoaded) {
    FsGuest guest;
    guest.start();
    guest.share.set_mounted(true);
    const auto saved = saved_bytes(guest.pci);
    FsGuest other;
    StateReader reader(saved);
    const auto loaded = other.pci.restore(reader);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ErrorCode::unsupported);
    EXPECT_NE(loaded.error().text().find("unmount it"), std::string::npos);
}

}  // namespace
}  // namespace banyan
