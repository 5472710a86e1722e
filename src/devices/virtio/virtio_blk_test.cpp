#include "devices/virtio/virtio_blk.hpp"

#include <array>
#include <cstddef>
#include <gtest/gtest.h>

#include "devices/virtio/testing/guest_driver.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using namespace virtio;

constexpr uint64_t kDisk = 64 * 1024;
constexpr uint32_t kSectors = kDisk / kBlkSector;
constexpr Gpa kHeader{0x1000};
constexpr Gpa kStatus{0x1800};
constexpr Gpa kData{0x2000};
constexpr char kNoStatus = '\x7f';

// Discard and write zeroes are not for this one.
class PlainBlock final : public BlockBackend {
public:
    uint64_t size_bytes() const override { return kDisk + 100; }
    bool read_only() const override { return false; }
    void submit(const BlockRequest& request, BlockClient& client) override {
        kinds.push_back(request.kind);
        client.on_block_complete(request.cookie, BlockStatus::ok);
    }
    void drain() override {}

    std::vector<BlockRequest::Kind> kinds;
};

// Completes on drain() only, and only what was there when it began.
class DeferringBlock final : public BlockBackend {
public:
    uint64_t size_bytes() const override { return kDisk; }
    bool read_only() const override { return false; }
    void submit(const BlockRequest& request, BlockClient& client) override {
        ++submitted;
        held_.emplace_back(request.cookie, &client);
    }
    void drain() override {
        for (const auto& [cookie, client] : std::exchange(held_, {})) {
            client->on_block_complete(cookie, BlockStatus::ok);
        }
    }

    unsigned submitted = 0;

private:
    std::vector<std::pair<uint64_t, BlockClient*>> held_;
};

// One disk and its driver.
struct BlkGuest {
    explicit BlkGuest(BlockBackend& backend,
                      const VirtioBlkConfig& config = {.serial = "disk-0001"})
        : pci(std::make_unique<VirtioBlk>(config, VirtioBlkWiring{bench.ram.memory(), backend}),
              bench.wiring()),
          driver(bench, pci) {}

    void start(uint64_t features = kModernRings | kBlkFlush) {
        ASSERT_TRUE(driver.negotiate(features));
        queue.emplace(driver.setup_queue(0, 128));
        driver.driver_ok();
    }
    void put_header(BlkRequestType type, uint64_t sector, Gpa at = kHeader) {
        const BlkRequestHeader header{static_cast<uint32_t>(type), uint32_t{0}, sector};
        ASSERT_TRUE(bench.ram.memory().write_object(at, header));
        driver.poke(kStatus, std::string(1, kNoStatus));
    }
    // Header, data and status, each in its descriptor; with the answer.
    int request(BlkRequestType type, uint64_t sector, uint32_t length, bool data_writable) {
        put_header(type, sector);
        if (length == 0) {
            queue->add({{kHeader, 16}, {kStatus, 1, true}});
        } else {
            queue->add({{kHeader, 16}, {kData, length, data_writable}, {kStatus, 1, true}});
        }
        driver.notify(0);
        return status();
    }
    int range(BlkRequestType type, uint64_t sector, uint32_t count, uint32_t flags,
              uint32_t length = 16) {
        EXPECT_TRUE(bench.ram.memory().write_object(kData, BlkRange{sector, count, flags}));
        return request(type, 0, length, false);
    }
    int status() { return driver.peek(kStatus, 1)[0]; }
    uint32_t used_length() { return queue->take_used()->length; }
    bool needs_reset() { return (driver.status() & kStatusNeedsReset) != 0; }

    VirtioBench bench;
    VirtioPci pci;
    GuestDriver driver;
    std::optional<GuestQueue> queue;
};

class VirtioBlkTest : public testing::Test {
protected:
    void SetUp() override { guest_.start(); }

    void offer_flushes(unsigned count) {
        const std::array<GuestBuffer, 2> buffers{{{kHeader, 16}, {kStatus, 1, true}}};
        for (unsigned i = 0; i < count; ++i)
            guest_.queue->add_indirect(buffers, {0x80000});
        driver_.notify(0);
    }
    char* disk(uint64_t sector) {
        return reinterpret_cast<char*>(disk_.bytes().data()) + sector * kBlkSector;
    }
    std::string disk_text(uint64_t sector, size_t length) { return {disk(sector), length}; }

    MemoryBlock disk_{kDisk};
    BlkGuest guest_{disk_};
    GuestDriver& driver_ = guest_.driver;
};

TEST_F(VirtioBlkTest, ShowsItsConfiguration) {
    EXPECT_EQ(driver_.read_config(offsetof(BlkConfig, capacity), 4), kSectors);
    EXPECT_EQ(driver_.read_config(offsetof(BlkConfig, capacity), 8), kSectors);
    EXPECT_EQ(driver_.read_config(offsetof(BlkConfig, seg_max), 4), 126U);
    EXPECT_EQ(driver_.read_config(offsetof(BlkConfig, blk_size), 4), 512U);
    EXPECT_EQ(driver_.read_config(offsetof(BlkConfig, max_discard_seg), 4), 1U);
    EXPECT_EQ(driver_.read_config(sizeof(BlkConfig), 1), 0xffU) << "nothing is behind it";
    EXPECT_EQ(driver_.offered_features() & ~kOfferedByAll,
              kBlkSizeMax | kBlkSegMax | kBlkBlockSize | kBlkFlush | kBlkDiscard | kBlkWriteZeroes);
}

TEST_F(VirtioBlkTest, WritesAndReads) {
    driver_.poke(kData, std::string(1024, 'w'));
    EXPECT_EQ(guest_.request(BlkRequestType::out, 3, 1024, false), kBlkStatusOk);
    EXPECT_EQ(guest_.used_length(), 1U);
    EXPECT_EQ(disk_text(3, 1024), std::string(1024, 'w'));
    EXPECT_EQ(disk_text(5, 1), std::string(1, '\0'));

    std::fill_n(disk(4), 512, 'r');
    EXPECT_EQ(guest_.request(BlkRequestType::in, 4, 512, true), kBlkStatusOk);
    EXPECT_EQ(guest_.used_length(), 513U);
    EXPECT_EQ(driver_.peek(kData, 513), std::string(512, 'r') + "w");
}

TEST_F(VirtioBlkTest, ReadsMarkPagesDirty) {
    guest_.bench.ram.memory().start_dirty_log();
    EXPECT_EQ(guest_.request(BlkRequestType::in, 0, 8192, true), kBlkStatusOk);
    const auto dirty = guest_.bench.ram.memory().take_dirty();
    for (const Gpa page : {kData, kData + 4096}) {
        EXPECT_NE(std::find(dirty.begin(), dirty.end(), page), dirty.end());
    }
}

// 2.7.4.3: no assumption about where one part ends and the next begins.
TEST_F(VirtioBlkTest, TakesAnyLayout) {
    guest_.put_header(BlkRequestType::out, 7);
    driver_.poke({0x1010}, std::string(512, 'x'));
    guest_.queue->add({{kHeader, 3}, {kHeader + 3, 513}, {kHeader + 516, 12}, {kStatus, 1, true}});
    driver_.notify(0);
    EXPECT_EQ(guest_.status(), kBlkStatusOk);
    EXPECT_EQ(disk_text(7, 512), std::string(512, 'x'));

    guest_.put_header(BlkRequestType::in, 7);
    guest_.queue->add({{kHeader, 16}, {kData, 100, true}, {{0x5000}, 413, true}});
    driver_.notify(0);
    EXPECT_EQ(driver_.peek({0x5000}, 413), std::string(412, 'x') + std::string(1, '\0'));
    EXPECT_EQ(driver_.peek(kData, 100), std::string(100, 'x'));
}

TEST_F(VirtioBlkTest, TakesTheLongestIndirectChain) {
    guest_.put_header(BlkRequestType::in, 0);
    std::vector<GuestBuffer> buffers{{kHeader, 16}};
    for (uint32_t i = 0; i < 126; ++i)
        buffers.push_back({kData + i * 512, 512, true});
    buffers.push_back({kStatus, 1, true});
    std::fill_n(disk(125), 512, 'l');
    guest_.queue->add_indirect(buffers, {0x80000});
    driver_.notify(0);
    EXPECT_EQ(guest_.status(), kBlkStatusOk);
    EXPECT_EQ(driver_.peek(kData + 125 * 512, 512), std::string(512, 'l'));
}

TEST_F(VirtioBlkTest, KeepsToTheDisk) {
    EXPECT_EQ(guest_.request(BlkRequestType::in, kSectors - 1, 512, true), kBlkStatusOk);
    EXPECT_EQ(guest_.used_length(), 513U);
    EXPECT_EQ(guest_.request(BlkRequestType::in, kSectors - 1, 1024, true), kBlkStatusIoError);
    EXPECT_EQ(guest_.used_length(), 0U) << "no data came";
    EXPECT_EQ(guest_.request(BlkRequestType::out, kSectors, 512, false), kBlkStatusIoError);
    EXPECT_EQ(guest_.request(BlkRequestType::in, ~uint64_t{0}, 512, true), kBlkStatusIoError);
    EXPECT_EQ(guest_.request(BlkRequestType::out, uint64_t{1} << 55, 512, false),
              kBlkStatusIoError);
    EXPECT_FALSE(guest_.needs_reset());
}

TEST_F(VirtioBlkTest, TransfersWholeSectors) {
    EXPECT_EQ(guest_.request(BlkRequestType::in, 0, 511, true), kBlkStatusIoError);
    EXPECT_EQ(guest_.request(BlkRequestType::out, 0, 513, false), kBlkStatusIoError);
    EXPECT_EQ(guest_.request(BlkRequestType::out, 0, 0, false), kBlkStatusOk);
}

TEST_F(VirtioBlkTest, Flushes) {
    EXPECT_EQ(guest_.request(BlkRequestType::flush, 0, 0, false), kBlkStatusOk);
    EXPECT_EQ(disk_.flushes(), 1U);
    EXPECT_EQ(guest_.request(BlkRequestType::out, 0, 512, false), kBlkStatusOk);
    EXPECT_EQ(disk_.flushes(), 1U);
}

TEST_F(VirtioBlkTest, WritesThroughForDriversThatDoNotFlush) {
    guest_.start(kModernRings);
    driver_.poke(kData, std::string(512, 't'));
    EXPECT_EQ(guest_.request(BlkRequestType::out, 1, 512, false), kBlkStatusOk);
    EXPECT_EQ(disk_.flushes(), 1U);
    EXPECT_EQ(disk_text(1, 512), std::string(512, 't'));
    EXPECT_EQ(guest_.used_length(), 1U);
}

TEST_F(VirtioBlkTest, TellsItsSerial) {
    EXPECT_EQ(guest_.request(BlkRequestType::get_id, 0, 20, true), kBlkStatusOk);
    EXPECT_EQ(guest_.used_length(), 21U);
    EXPECT_EQ(driver_.peek(kData, 20), std::string("disk-0001") + std::string(11, '\0'));
    EXPECT_EQ(guest_.request(BlkRequestType::get_id, 0, 4, true), kBlkStatusOk);
    EXPECT_EQ(guest_.request(BlkRequestType::get_id, 0, 100, true), kBlkStatusOk);
}

TEST_F(VirtioBlkTest, DiscardsAndWritesZeroes) {
    std::fill_n(disk(0), kDisk, 'z');
    EXPECT_EQ(guest_.range(BlkRequestType::write_zeroes, 2, 3, 0), kBlkStatusOk);
    EXPECT_EQ(disk_text(2, 3 * 512), std::string(3 * 512, '\0'));
    EXPECT_EQ(*disk(5), 'z');
    EXPECT_EQ(guest_.range(BlkRequestType::write_zeroes, 5, 1, kBlkRangeUnmap), kBlkStatusOk);
    EXPECT_EQ(*disk(5), '\0');
    EXPECT_EQ(guest_.range(BlkRequestType::discard, 0, kSectors, 0), kBlkStatusOk);
    EXPECT_EQ(disk_.discards(), 1U);
    EXPECT_EQ(guest_.range(BlkRequestType::discard, 9, 0, 0), kBlkStatusOk);
    EXPECT_EQ(disk_.discards(), 1U) << "nothing to do";
}

// 5.2.6.2 "Device Requirements: Device Operation".
TEST_F(VirtioBlkTest, ChecksRanges) {
    EXPECT_EQ(guest_.range(BlkRequestType::discard, 0, 1, kBlkRangeUnmap), kBlkStatusUnsupported);
    EXPECT_EQ(guest_.range(BlkRequestType::write_zeroes, 0, 1, 2), kBlkStatusUnsupported);
    EXPECT_EQ(guest_.range(BlkRequestType::discard, 1, kSectors, 0), kBlkStatusIoError);
    EXPECT_EQ(guest_.range(BlkRequestType::discard, ~uint64_t{0}, 1, 0), kBlkStatusIoError);
    EXPECT_EQ(guest_.range(BlkRequestType::discard, 0, 0xffffffff, 0), kBlkStatusIoError);
    EXPECT_EQ(guest_.range(BlkRequestType::discard, 0, 1, 0, 32), kBlkStatusIoError)
        << "two ranges";
    EXPECT_EQ(guest_.range(BlkRequestType::discard, 0, 1, 0, 8), kBlkStatusIoError);
    EXPECT_EQ(disk_.discards(), 0U);
}

TEST_F(VirtioBlkTest, OffersOnlyWhatTheBackendCan) {
    PlainBlock plain;
    BlkGuest guest(plain);
    EXPECT_EQ(guest.driver.offered_features() & (kBlkDiscard | kBlkWriteZeroes), 0U);
    EXPECT_EQ(guest.driver.read_config(0, 8), kSectors)
        << "a part of a sector at the end is left out";
    guest.start();
    EXPECT_EQ(guest.range(BlkRequestType::discard, 0, 1, 0), kBlkStatusUnsupported);
    EXPECT_TRUE(plain.kinds.empty());
}

TEST_F(VirtioBlkTest, ReadOnlyDisksFailWrites) {
    MemoryBlock disk(kDisk, true);
    BlkGuest guest(disk);
    EXPECT_EQ(guest.driver.offered_features() & (kBlkReadOnly | kBlkDiscard), kBlkReadOnly);
    guest.start();
    EXPECT_EQ(guest.request(BlkRequestType::out, 0, 512, false), kBlkStatusIoError);
    EXPECT_EQ(guest.range(BlkRequestType::write_zeroes, 0, 1, 0), kBlkStatusIoError);
    EXPECT_EQ(guest.request(BlkRequestType::in, 0, 512, true), kBlkStatusOk);
}

TEST_F(VirtioBlkTest, UnknownRequestsAreUnsupported) {
    EXPECT_EQ(guest_.request(static_cast<BlkRequestType>(2), 0, 512, true), kBlkStatusUnsupported);
    EXPECT_EQ(guest_.request(static_cast<BlkRequestType>(0xffffffff), 0, 0, true),
              kBlkStatusUnsupported);
}

TEST_F(VirtioBlkTest, PassesErrorsOfTheBackendOn) {
    disk_.fail_with(BlockStatus::io_error);
    EXPECT_EQ(guest_.request(BlkRequestType::in, 0, 512, true), kBlkStatusIoError);
    EXPECT_EQ(guest_.used_length(), 0U);
    disk_.fail_with(BlockStatus::unsupported);
    EXPECT_EQ(guest_.request(BlkRequestType::flush, 0, 0, true), kBlkStatusUnsupported);
    EXPECT_EQ(guest_.used_length(), 1U);
}

TEST_F(VirtioBlkTest, ARequestWithoutHeaderOrStatusNeedsReset) {
    guest_.queue->add({{kHeader, 15}, {kStatus, 1, true}});
    driver_.notify(0);
    EXPECT_TRUE(guest_.needs_reset());
    guest_.start();
    guest_.queue->add({{kHeader, 16}, {kData, 512}});
    driver_.notify(0);
    EXPECT_TRUE(guest_.needs_reset());
}

TEST_F(VirtioBlkTest, CompletesInAnyOrderAndInterruptsForEach) {
    disk_.hold(true);
    EXPECT_EQ(guest_.request(BlkRequestType::in, 0, 512, true), kNoStatus);
    EXPECT_EQ(guest_.queue->used_index(), 0U);
    EXPECT_FALSE(guest_.bench.irq.level());
    ASSERT_TRUE(disk_.complete_one());
    EXPECT_EQ(guest_.status(), kBlkStatusOk);
    EXPECT_EQ(guest_.queue->used_index(), 1U);
    EXPECT_TRUE(guest_.bench.irq.level());
}

// A driver that reuses descriptors before they come back can offer more than the queue holds.
TEST_F(VirtioBlkTest, HoldsBackWhatIsTooMuchAtOnce) {
    disk_.hold(true);
    guest_.put_header(BlkRequestType::flush, 0);
    offer_flushes(128);
    offer_flushes(12);
    EXPECT_EQ(disk_.in_flight(), VirtioBlk::kMaxInFlight);
    ASSERT_TRUE(disk_.complete_one());
    ASSERT_TRUE(disk_.complete_one());
    EXPECT_EQ(guest_.bench.timers.armed(), 1U);
    guest_.bench.timers.advance(1'000'000);
    EXPECT_EQ(disk_.in_flight(), VirtioBlk::kMaxInFlight) << "the next two were taken";
    disk_.drain();
    guest_.bench.timers.advance(1'000'000);
    disk_.drain();
    EXPECT_EQ(guest_.queue->used_index(), 140U);
    EXPECT_EQ(disk_.flushes(), 140U);
}

TEST_F(VirtioBlkTest, ResetWaitsForWhatIsInFlight) {
    disk_.hold(true);
    (void)guest_.request(BlkRequestType::in, 0, 512, true);
    driver_.reset();
    EXPECT_EQ(disk_.in_flight(), 0U);
    EXPECT_FALSE(guest_.bench.irq.level());
    disk_.hold(false);
    guest_.start();
    EXPECT_EQ(guest_.request(BlkRequestType::flush, 0, 0, false), kBlkStatusOk);
}

TEST_F(VirtioBlkTest, BusMasteringGoesAfterWhatIsInFlight) {
    disk_.hold(true);
    (void)guest_.request(BlkRequestType::in, 0, 512, true);
    guest_.pci.config_write(4, 2, 2);
    EXPECT_EQ(disk_.in_flight(), 0U);
    EXPECT_EQ(guest_.queue->used_index(), 1U);
}

TEST_F(VirtioBlkTest, SaveDrainsAndTheRestGoesOnLater) {
    disk_.hold(true);
    guest_.put_header(BlkRequestType::flush, 0);
    offer_flushes(128);
    offer_flushes(6);
    const auto bytes = saved_bytes(guest_.pci);
    EXPECT_EQ(disk_.in_flight(), 0U);
    EXPECT_EQ(guest_.queue->used_index(), 128U);

    guest_.pci.reset();
    StateReader reader(bytes);
    ASSERT_TRUE(guest_.pci.restore(reader));
    EXPECT_EQ(guest_.queue->used_index(), 128U);
    guest_.bench.timers.advance(1'000'000);
    disk_.drain();
    EXPECT_EQ(guest_.queue->used_index(), 134U);
}

// A disk with a queue for each of three vCPUs; each queue asks for a flush with a status byte of
// its own.
class VirtioBlkQueuesTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(driver_.negotiate(kModernRings | kBlkFlush | kBlkMq | kFeatureRingReset));
        driver_.enable_msix();
        for (uint16_t i = 0; i < 3; ++i)
            queues_.push_back(driver_.setup_queue(i, 8));
        driver_.driver_ok();
        guest_.put_header(BlkRequestType::flush, 0);
        driver_.poke(kStatus, std::string(3, kNoStatus));
        guest_.bench.msi.clear();
    }
    void flush(uint16_t index) {
        queues_[index].add({{kHeader, 16}, {kStatus + index, 1, true}});
        driver_.notify(index);
    }
    std::string statuses() { return driver_.peek(kStatus, 3); }

    MemoryBlock disk_{kDisk};
    BlkGuest guest_{disk_, {.serial = "disk-0001", .queues = 3}};
    GuestDriver& driver_ = guest_.driver;
    std::vector<GuestQueue> queues_;
};

TEST_F(VirtioBlkQueuesTest, SaysHowManyThereAre) {
    EXPECT_EQ(driver_.read(Common::num_queues, 2), 3U);
    EXPECT_EQ(driver_.read_config(offsetof(BlkConfig, num_queues), 2), 3U);
    EXPECT_NE(driver_.offered_features() & kBlkMq, 0U);
}

TEST_F(VirtioBlkQueuesTest, AnswersOnTheQueueThatAsked) {
    disk_.hold(true);
    for (const uint16_t index : std::to_array<uint16_t>({2, 0, 1}))
        flush(index);
    EXPECT_EQ(disk_.in_flight(), 3U);
    disk_.drain();
    EXPECT_EQ(statuses(), std::string(3, kBlkStatusOk));
    ASSERT_EQ(guest_.bench.msi.count(), 3U);
    for (uint16_t index = 0; index < 3; ++index)
        EXPECT_EQ(queues_[index].used_index(), 1U);
    EXPECT_EQ(guest_.bench.msi.messages()[0].data, GuestDriver::kMsiData + 3);
    EXPECT_EQ(guest_.bench.msi.messages()[1].data, GuestDriver::kMsiData + 1);
}

// Requests of two queues are with the disk; one queue is reset, and its requests end first.
TEST_F(VirtioBlkQueuesTest, AQueueIsResetAlone) {
    disk_.hold(true);
    flush(0);
    flush(1);
    driver_.reset_queue(1);
    EXPECT_EQ(disk_.in_flight(), 0U);
    EXPECT_EQ(queues_[0].used_index(), 1U);
    disk_.hold(false);
    flush(0);
    EXPECT_EQ(queues_[0].used_index(), 2U);
    flush(1);
    EXPECT_EQ(queues_[1].used_index(), 1U) << "not in use";
    queues_[1] = driver_.setup_queue(1, 4);
    flush(1);
    EXPECT_EQ(queues_[1].used_index(), 1U);
}

TEST_F(VirtioBlkQueuesTest, ResetWaitsForAllQueues) {
    disk_.hold(true);
    for (const uint16_t index : std::to_array<uint16_t>({0, 1, 2}))
        flush(index);
    driver_.reset();
    EXPECT_EQ(disk_.in_flight(), 0U);
    EXPECT_EQ(statuses(), std::string(3, kBlkStatusOk));
    for (uint16_t index = 0; index < 3; ++index) {
        driver_.write(Common::queue_select, 2, index);
        EXPECT_EQ(driver_.read(Common::queue_enable, 2), 0U);
    }
}

TEST_F(VirtioBlkQueuesTest, SavesAndGoesOnOnAllQueues) {
    disk_.hold(true);
    flush(0);
    flush(2);
    const auto bytes = saved_bytes(guest_.pci);
    EXPECT_EQ(disk_.in_flight(), 0U);
    disk_.hold(false);
    guest_.pci.reset();
    StateReader reader(bytes);
    ASSERT_TRUE(guest_.pci.restore(reader));
    for (const uint16_t index : std::to_array<uint16_t>({0, 1, 2}))
        flush(index);
    EXPECT_EQ(queues_[0].used_index(), 2U);
    EXPECT_EQ(queues_[1].used_index(), 1U);
    EXPECT_EQ(queues_[2].used_index(), 2U);
}

// The requests that a disk takes at a time are for all queues; those that wait come from each.
TEST_F(VirtioBlkQueuesTest, QueuesThatWaitForRoomGoOn) {
    disk_.hold(true);
    driver_.reset();
    ASSERT_TRUE(driver_.negotiate(kModernRings | kBlkFlush | kBlkMq));
    for (uint16_t i = 0; i < 3; ++i)
        queues_[i] = driver_.setup_queue(i, 128);
    driver_.driver_ok();
    const std::array<GuestBuffer, 2> buffers{{{kHeader, 16}, {kStatus, 1, true}}};
    for (const uint16_t index : std::to_array<uint16_t>({0, 1, 2})) {
        for (unsigned i = 0; i < 100; ++i)
            queues_[index].add_indirect(buffers, {0x80000});
        driver_.notify(index);
    }
    EXPECT_EQ(disk_.in_flight(), VirtioBlk::kMaxInFlight);
    for (unsigned i = 0; i < 3; ++i) {
        disk_.drain();
        guest_.bench.timers.advance(1'000'000);
    }
    disk_.drain();
    for (const uint16_t index : std::to_array<uint16_t>({0, 1, 2}))
        EXPECT_EQ(queues_[index].used_index(), 100U) << index;
}

TEST(VirtioBlkDrain, WaitsForTheFlushesOfWritesToo) {
    DeferringBlock disk;
    BlkGuest guest(disk);
    guest.start(kModernRings);  // without flush: each write is followed by one
    EXPECT_EQ(guest.request(BlkRequestType::out, 0, 512, false), kNoStatus);
    guest.driver.reset();
    EXPECT_EQ(guest.status(), kBlkStatusOk);
    EXPECT_EQ(disk.submitted, 2U);
}

TEST(VirtioBlkState, HasTheProperties) {
    VirtioBench bench;
    MemoryBlock disk(kDisk);
    check_saved_state(
        [&] {
            auto blk = std::make_unique<VirtioBlk>(VirtioBlkConfig{},
                                                   VirtioBlkWiring{bench.ram.memory(), disk});
            return std::make_unique<VirtioPci>(std::move(blk), bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver driver(bench, pci);
            ASSERT_TRUE(driver.negotiate(kModernRings | kBlkFlush));
            (void)driver.setup_queue(0, 128);
            driver.driver_ok();
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
