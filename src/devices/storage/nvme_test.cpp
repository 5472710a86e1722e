#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "devices/storage/testing/nvme_guest.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

using nvme::Admin;
using nvme::Feature;
using nvme::Io;
using NvmeBytes = std::vector<std::byte>;

constexpr uint64_t kData = 0x80000;
constexpr uint64_t kList = 0x70000;

class NvmeTest : public testing::Test {
protected:
    explicit NvmeTest(bool read_only = false) : bench_(1 << 20, read_only) {
        for (size_t i = 0; i < bench_.disk.bytes().size(); ++i)
            bench_.disk.bytes()[i] = static_cast<std::byte>(i / 512 * 3 + i);
    }
    void start() {
        ASSERT_TRUE(guest_.enable());
        guest_.enable_msix();
        ASSERT_TRUE(guest_.create_pair(1));
        bench_.msi.clear();
    }
    NvmeBytes memory(uint64_t at, size_t length) {
        NvmeBytes bytes(length);
        EXPECT_TRUE(bench_.ram.memory().read(Gpa{at}, bytes));
        return bytes;
    }
    NvmeBytes disk(size_t at, size_t length) {
        const auto from = bench_.disk.bytes().begin() + static_cast<std::ptrdiff_t>(at);
        return {from, from + static_cast<std::ptrdiff_t>(length)};
    }
    template <class T>
    T field(size_t at) {
        T value{};
        EXPECT_TRUE(bench_.ram.memory().read_object(Gpa{kData + at}, value));
        return value;
    }
    unsigned identify(unsigned cns, uint32_t nsid) {
        nvme::Command command = NvmeGuest::admin(Admin::identify);
        command.prp1 = kData;
        command.nsid = nsid;
        command.cdw10 = cns;
        return guest_.status_of(0, command);
    }
    unsigned set_feature(Feature which, uint32_t value) {
        nvme::Command command = NvmeGuest::admin(Admin::set_features);
        command.cdw10 = static_cast<uint32_t>(which);
        command.cdw11 = value;
        return guest_.status_of(0, command);
    }
    uint32_t get_feature(Feature which, uint32_t value = 0) {
        nvme::Command command = NvmeGuest::admin(Admin::get_features);
        command.cdw10 = static_cast<uint32_t>(which);
        command.cdw11 = value;
        return guest_.result_of(command);
    }
    unsigned log_page(unsigned page, uint32_t length) {
        nvme::Command command = NvmeGuest::admin(Admin::get_log_page);
        command.prp1 = kData;
        command.cdw10 = (length / 4 - 1) << 16 | page;
        return guest_.status_of(0, command);
    }
    unsigned remove(Admin what, unsigned id) {
        nvme::Command command = NvmeGuest::admin(what);
        command.cdw10 = id;
        return guest_.status_of(0, command);
    }

    NvmeBench bench_;
    NvmeController controller_{"serial-7", bench_.wiring()};
    NvmeGuest guest_{bench_, controller_};
};

class ReadOnlyNvmeTest : public NvmeTest {
protected:
    ReadOnlyNvmeTest() : NvmeTest(true) {}
};

// Section 2.1 "PCI header", 3.1 "Register definition".
TEST_F(NvmeTest, SaysWhatItIs) {
    EXPECT_EQ(controller_.config_read(0, 4), 0x0010'1B36U);
    EXPECT_EQ(controller_.config_read(8, 4) >> 8, 0x010802U);
    EXPECT_EQ(guest_.read(nvme::Reg::version), 0x10400U);
    const uint64_t capabilities = guest_.read(nvme::Reg::capabilities, 8);
    EXPECT_EQ(capabilities & 0xFFFF, 1023U);
    EXPECT_EQ(capabilities >> 37 & 1, 1U) << "the NVM command set";
    EXPECT_EQ(guest_.read(nvme::Reg::capabilities), capabilities & 0xFFFF'FFFF);
    EXPECT_EQ(bench_.mapper.read(NvmeGuest::kRegisters + 4, 4), capabilities >> 32);
}

TEST_F(NvmeTest, RegistersWantFourBytesOrEight) {
    EXPECT_EQ(bench_.mapper.write(NvmeGuest::kRegisters + 0x14, 2, 1), IoStatus::bad_size);
    EXPECT_EQ(guest_.read(nvme::Reg::configuration), 0U);
}

// Section 7.6.1.
TEST_F(NvmeTest, BecomesReadyAndIsReset) {
    EXPECT_EQ(guest_.read(nvme::Reg::status), 0U);
    ASSERT_TRUE(guest_.enable());
    ASSERT_TRUE(guest_.create_pair(1));
    guest_.write(nvme::Reg::configuration, 0x0046'0000);
    EXPECT_EQ(guest_.read(nvme::Reg::status), 0U);
    EXPECT_EQ(guest_.read(nvme::Reg::admin_submission, 8), NvmeGuest::queue_base(0)) << "kept";
    ASSERT_TRUE(guest_.enable());
    EXPECT_TRUE(guest_.create_pair(1)) << "queues went with the reset";
}

TEST_F(NvmeTest, RefusesWhatItCannotDo) {
    guest_.write(nvme::Reg::admin_queue_sizes, 0x000F'000F);
    guest_.write(nvme::Reg::admin_submission, 0x10000, 8);
    guest_.write(nvme::Reg::admin_completion, 0x11000, 8);
    guest_.write(nvme::Reg::configuration, 0x0046'0081);  // pages of 8 KiB
    EXPECT_EQ(guest_.read(nvme::Reg::status), 2U);
    guest_.write(nvme::Reg::configuration, 0);
    guest_.write(nvme::Reg::admin_queue_sizes, 0);  // queues of one entry
    guest_.write(nvme::Reg::configuration, 0x0046'0001);
    EXPECT_EQ(guest_.read(nvme::Reg::status), 2U);
}

// Section 5.15.2.
TEST_F(NvmeTest, IdentifiesTheController) {
    ASSERT_TRUE(guest_.enable());
    ASSERT_EQ(identify(1, 0), 0U);
    const auto bytes = memory(kData, 4096);
    const auto text = [&](size_t at, size_t length) {
        std::string result;
        for (size_t i = at; i < at + length; ++i)
            result += std::to_integer<char>(bytes[i]);
        return result;
    };
    EXPECT_EQ(text(4, 20), "serial-7            ");
    EXPECT_EQ(text(24, 16), "Banyan NVMe disk");
    EXPECT_EQ(text(768, 4), "nqn.");
    EXPECT_EQ(field<uint8_t>(77), 7) << "512 KiB in one command";
    EXPECT_EQ(field<uint32_t>(516), 1U) << "one namespace";
    EXPECT_EQ(field<uint16_t>(520), 0x0CU) << "deallocate and write zeroes";
    EXPECT_EQ(field<uint8_t>(525) & 1, 1) << "a volatile write cache";
}

TEST_F(NvmeTest, IdentifiesItsNamespace) {
    ASSERT_TRUE(guest_.enable());
    ASSERT_EQ(identify(0, 1), 0U);
    EXPECT_EQ(field<uint64_t>(0), 2048U);
    EXPECT_EQ(field<uint32_t>(128), 9U << 16);
    EXPECT_EQ(identify(0, 2), nvme::INVALID_NAMESPACE);
    ASSERT_EQ(identify(2, 0), 0U);
    EXPECT_EQ(field<uint64_t>(0), 1U);
    ASSERT_EQ(identify(2, 1), 0U);
    EXPECT_EQ(field<uint64_t>(0), 0U);
    ASSERT_EQ(identify(3, 1), 0U);
    EXPECT_EQ(field<uint16_t>(0), 0x1003U) << "a UUID of 16 bytes";
    EXPECT_EQ(field<uint8_t>(4 + 6) >> 4, 8);
    EXPECT_EQ(identify(0x13, 1), nvme::INVALID_FIELD);
}

// Section 6.9 "Read command", 4.3 "Physical region page".
TEST_F(NvmeTest, ReadsAcrossPages) {
    start();
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::read, 5, 1, kData)), 0U);
    EXPECT_EQ(memory(kData, 512), disk(5 * 512, 512));

    // From the middle of a page, into a second one.
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::read, 0, 8, kData + 512, kData + 0x3000)), 0U);
    EXPECT_EQ(memory(kData + 512, 3584), disk(0, 3584));
    EXPECT_EQ(memory(kData + 0x3000, 512), disk(3584, 512));
    EXPECT_EQ(bench_.msi.messages().back().data, 0x41U);
}

TEST_F(NvmeTest, FollowsPrpLists) {
    start();
    // 512 KiB in pages of descending addresses; the list begins at the end of a page and goes on.
    constexpr uint64_t kPages = 128;
    uint64_t entry = kList + 0x1000 - 16;
    for (uint64_t i = 1; i < kPages; ++i, entry += 8) {
        if (entry == kList + 0xFF8) {
            ASSERT_TRUE(bench_.ram.memory().write_object(Gpa{entry}, uint64_t{kList + 0x2000}));
            entry = kList + 0x2000;
        }
        const uint64_t page = kData + (kPages - i) * 0x1000;
        ASSERT_TRUE(bench_.ram.memory().write_object(Gpa{entry}, page));
    }
    const auto read = NvmeGuest::io(Io::read, 0, 1024, kData, kList + 0x1000 - 16);
    EXPECT_EQ(guest_.status_of(1, read), 0U);
    EXPECT_EQ(memory(kData, 0x1000), disk(0, 0x1000));
    for (uint64_t i = 1; i < kPages; ++i)
        ASSERT_EQ(memory(kData + (kPages - i) * 0x1000, 0x1000), disk(i * 0x1000, 0x1000)) << i;
}

TEST_F(NvmeTest, WritesAndFlushes) {
    start();
    NvmeBytes data(1024, std::byte{0x5A});
    ASSERT_TRUE(bench_.ram.memory().write(Gpa{kData}, data));
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::write, 100, 2, kData)), 0U);
    EXPECT_EQ(disk(51200, 1024), data);
    EXPECT_EQ(bench_.disk.flushes(), 0U);

    nvme::Command flush = NvmeGuest::io(Io::flush);
    flush.nsid = 0xFFFF'FFFFU;
    EXPECT_EQ(guest_.status_of(1, flush), 0U);
    EXPECT_EQ(bench_.disk.flushes(), 1U);

    nvme::Command forced = NvmeGuest::io(Io::write, 100, 2, kData);
    forced.cdw12 = forced.cdw12 | nvme::kForceUnitAccess;
    EXPECT_EQ(guest_.status_of(1, forced), 0U);
    EXPECT_EQ(bench_.disk.flushes(), 2U) << "force unit access";

    EXPECT_EQ(set_feature(Feature::volatile_write_cache, 0), 0U);
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::write, 100, 2, kData)), 0U);
    EXPECT_EQ(bench_.disk.flushes(), 3U) << "without the cache, writes are stable";
}

TEST_F(NvmeTest, RefusesWrongCommands) {
    start();
    const auto status = [&](const nvme::Command& command) { return guest_.status_of(1, command); };
    EXPECT_EQ(status(NvmeGuest::io(Io::read, 2048, 1, kData)), nvme::LBA_OUT_OF_RANGE);
    EXPECT_EQ(status(NvmeGuest::io(Io::read, ~uint64_t{0}, 1, kData)), nvme::LBA_OUT_OF_RANGE);
    EXPECT_EQ(status(NvmeGuest::io(Io::read, 0, 1025, kData, kList)), nvme::INVALID_FIELD);
    EXPECT_EQ(status(NvmeGuest::io(Io::read, 0, 1, kData + 2)), nvme::PRP_OFFSET_INVALID);
    EXPECT_EQ(status(NvmeGuest::io(Io::read, 0, 16, kData, kData + 0x1200)),
              nvme::PRP_OFFSET_INVALID);
    EXPECT_EQ(status(NvmeGuest::io(Io::read, 0, 1, 0x4000'0000)), nvme::DATA_TRANSFER_ERROR);
    EXPECT_EQ(status(NvmeGuest::io(Io::read, 0, 64, kData, 0x4000'0000)),
              nvme::DATA_TRANSFER_ERROR);
    nvme::Command other = NvmeGuest::io(Io::read, 0, 1, kData);
    other.nsid = 2U;
    EXPECT_EQ(status(other), nvme::INVALID_NAMESPACE);
    other = NvmeGuest::io(Io::read, 0, 1, kData);
    other.flags = 0x40;
    EXPECT_EQ(status(other), nvme::INVALID_FIELD) << "SGLs";
    other.flags = 0;
    other.opcode = 0x05;
    EXPECT_EQ(status(other), nvme::INVALID_OPCODE) << "compare";
}

TEST_F(NvmeTest, TellsOfDiskErrors) {
    start();
    bench_.disk.fail_with(BlockStatus::io_error);
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::read, 0, 1, kData)),
              nvme::UNRECOVERED_READ_ERROR);
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::write, 0, 1, kData)), nvme::WRITE_FAULT);
}

// Sections 6.7 and 6.16.
TEST_F(NvmeTest, DeallocatesAndWritesZeroes) {
    start();
    const nvme::Range ranges[] = {{0U, 8U, 16U}, {0U, 0U, 0U}, {0U, 4U, 100U}};
    ASSERT_TRUE(bench_.ram.memory().write(Gpa{kData}, std::as_bytes(std::span(ranges))));
    nvme::Command command = NvmeGuest::io(Io::dataset_management, 2, 1, kData);
    command.cdw11 = nvme::kDeallocate;
    EXPECT_EQ(guest_.status_of(1, command), 0U);
    EXPECT_EQ(bench_.disk.discards(), 2U);
    command.cdw11 = 0U;
    EXPECT_EQ(guest_.status_of(1, command), 0U) << "a hint";
    EXPECT_EQ(bench_.disk.discards(), 2U);

    const nvme::Range outside{0U, 1U, 2048U};
    ASSERT_TRUE(bench_.ram.memory().write_object(Gpa{kData}, outside));
    command.cdw10 = 0U;
    command.cdw11 = nvme::kDeallocate;
    EXPECT_EQ(guest_.status_of(1, command), nvme::LBA_OUT_OF_RANGE);

    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::write_zeroes, 10, 2)), 0U);
    EXPECT_EQ(disk(5120, 1024), NvmeBytes(1024));
}

TEST_F(ReadOnlyNvmeTest, RefusesWrites) {
    start();
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::write, 0, 1, kData)), nvme::WRITE_TO_READ_ONLY);
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::write_zeroes, 0, 1)), nvme::WRITE_TO_READ_ONLY);
    ASSERT_EQ(identify(0, 1), 0U);
    EXPECT_EQ(field<uint8_t>(99), 1);
}

// Sections 5.3 to 5.6.
TEST_F(NvmeTest, QueuesAreCreatedAndDeletedInOrder) {
    start();
    EXPECT_FALSE(guest_.create_pair(1)) << "it exists";
    EXPECT_EQ(remove(Admin::delete_cq, 1), nvme::QUEUE_DELETION_INVALID);
    EXPECT_EQ(remove(Admin::delete_sq, 1), 0U);
    EXPECT_EQ(remove(Admin::delete_sq, 1), nvme::QUEUE_ID_INVALID);
    EXPECT_EQ(remove(Admin::delete_cq, 1), 0U);
    EXPECT_EQ(remove(Admin::delete_cq, 0), nvme::QUEUE_ID_INVALID);

    nvme::Command sq = NvmeGuest::admin(Admin::create_sq);
    sq.prp1 = NvmeGuest::queue_base(3);
    sq.cdw10 = 15U << 16 | 3U;
    sq.cdw11 = 3U << 16 | 1U;
    EXPECT_EQ(guest_.status_of(0, sq), nvme::CQ_INVALID);
    nvme::Command cq = sq;
    cq.opcode = static_cast<uint8_t>(Admin::create_cq);
    cq.cdw11 = 200U << 16 | 3U;
    EXPECT_EQ(guest_.status_of(0, cq), nvme::INTERRUPT_VECTOR_INVALID);
    cq.cdw11 = 3U;
    cq.cdw10 = 2000U << 16 | 3U;
    EXPECT_EQ(guest_.status_of(0, cq), nvme::QUEUE_SIZE_INVALID);
    cq.cdw10 = 15U << 16 | 65U;
    EXPECT_EQ(guest_.status_of(0, cq), nvme::QUEUE_ID_INVALID);
}

TEST_F(NvmeTest, DeletingAQueueWaitsForItsCommands) {
    start();
    bench_.disk.hold(true);
    guest_.submit(1, NvmeGuest::io(Io::read, 0, 1, kData));
    EXPECT_FALSE(guest_.take(1));
    EXPECT_EQ(remove(Admin::delete_sq, 1), 0U);
    EXPECT_TRUE(guest_.take(1));
}

TEST_F(NvmeTest, CompletionsWaitForRoom) {
    start();
    for (unsigned i = 0; i < NvmeGuest::kEntries - 1; ++i)
        guest_.submit(1, NvmeGuest::io(Io::flush));
    guest_.submit(1, NvmeGuest::io(Io::flush));
    guest_.submit(1, NvmeGuest::io(Io::flush));
    EXPECT_EQ(bench_.disk.flushes(), NvmeGuest::kEntries - 1) << "the completion queue is full";
    unsigned taken = 0;
    while (guest_.take(1))
        ++taken;
    EXPECT_EQ(taken, NvmeGuest::kEntries + 1);
}

TEST_F(NvmeTest, ResetWithCommandsInFlight) {
    start();
    bench_.disk.hold(true);
    for (unsigned i = 0; i < 5; ++i)
        guest_.submit(1, NvmeGuest::io(Io::read, i, 1, kData));
    EXPECT_EQ(bench_.disk.in_flight(), 5U);
    guest_.write(nvme::Reg::configuration, 0);
    EXPECT_EQ(bench_.disk.in_flight(), 0U);
    bench_.disk.hold(false);
    start();
    EXPECT_EQ(guest_.status_of(1, NvmeGuest::io(Io::read, 0, 1, kData)), 0U);
}

// Section 7.6.2.
TEST_F(NvmeTest, ShutdownFlushes) {
    start();
    bench_.disk.hold(true);
    guest_.write(nvme::Reg::configuration, 0x0046'4001);
    EXPECT_EQ(guest_.read(nvme::Reg::status) >> 2 & 3, 1U) << "occurring";
    EXPECT_TRUE(bench_.disk.complete_one());
    EXPECT_EQ(guest_.read(nvme::Reg::status) >> 2 & 3, 2U) << "complete";
    EXPECT_EQ(bench_.disk.flushes(), 1U);
}

TEST_F(NvmeTest, FeaturesAreKept) {
    start();
    EXPECT_EQ(get_feature(Feature::number_of_queues), 63U << 16 | 63U);
    EXPECT_EQ(set_feature(Feature::number_of_queues, 0), nvme::COMMAND_SEQUENCE_ERROR)
        << "queues were created";
    EXPECT_EQ(get_feature(Feature::volatile_write_cache), 1U);
    EXPECT_EQ(set_feature(Feature::interrupt_coalescing, 0x0102), 0U);
    EXPECT_EQ(get_feature(Feature::interrupt_coalescing), 0x0102U);
    EXPECT_EQ(set_feature(Feature::interrupt_vector, 1U << 16 | 3U), 0U);
    EXPECT_EQ(get_feature(Feature::interrupt_vector, 3), 1U << 16 | 3U);
    EXPECT_EQ(set_feature(Feature::power_management, 1), nvme::INVALID_FIELD);
    EXPECT_EQ(get_feature(Feature::temperature_threshold), 0x157U);
    nvme::Command save = NvmeGuest::admin(Admin::set_features);
    save.cdw10 = nvme::kSaveFeature | 1U;
    EXPECT_EQ(guest_.status_of(0, save), nvme::FEATURE_NOT_SAVEABLE);
}

TEST_F(NvmeTest, LogPages) {
    start();
    EXPECT_EQ(log_page(2, 512), 0U);
    EXPECT_EQ(field<uint16_t>(1), 303U) << "kelvins";
    EXPECT_EQ(log_page(3, 512), 0U);
    EXPECT_EQ(field<uint8_t>(0), 1);
    EXPECT_EQ(log_page(1, 64), 0U);
    EXPECT_EQ(log_page(0x70, 64), nvme::LOG_PAGE_INVALID);
}

// Section 5.2.
TEST_F(NvmeTest, AsynchronousEvents) {
    start();
    const auto request = NvmeGuest::admin(Admin::async_event_request);
    guest_.submit(0, request);
    guest_.submit(0, request);
    EXPECT_FALSE(guest_.take(0));

    guest_.doorbell(2 * 40, 1);
    auto entry = guest_.take(0);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->result, nvme::kEventInvalidDoorbell);
    guest_.doorbell(2 * 40, 1);
    EXPECT_FALSE(guest_.take(0)) << "masked until its log page is read";
    EXPECT_EQ(log_page(1, 64), 0U);
    entry = guest_.take(0);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->result, nvme::kEventInvalidDoorbell);

    guest_.doorbell(2, 999);
    EXPECT_EQ(log_page(1, 64), 0U);
    guest_.submit(0, request);
    entry = guest_.take(0);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->result, nvme::kEventInvalidDoorbellValue);

    guest_.submit(0, request);
    EXPECT_EQ(set_feature(Feature::temperature_threshold, 300), 0U);
    entry = guest_.take(0);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->result, nvme::kEventTemperature);
    for (unsigned i = 0; i < NvmeController::kMaxEventRequests; ++i)
        guest_.submit(0, request);
    EXPECT_EQ(guest_.status_of(0, request), nvme::ASYNC_EVENT_LIMIT);
}

TEST_F(NvmeTest, AbortIsBestEffort) {
    start();
    EXPECT_EQ(guest_.result_of(NvmeGuest::admin(Admin::abort)), 1U) << "not aborted";
    nvme::Command unknown = NvmeGuest::admin(Admin::abort);
    unknown.opcode = 0x7C;
    EXPECT_EQ(guest_.status_of(0, unknown), nvme::INVALID_OPCODE);
}

// Section 7.5.1.
TEST_F(NvmeTest, PinInterruptsFollowTheQueues) {
    ASSERT_TRUE(guest_.enable());
    ASSERT_TRUE(guest_.create_pair(1));
    EXPECT_FALSE(bench_.irq.level());
    guest_.submit(1, NvmeGuest::io(Io::flush));
    EXPECT_TRUE(bench_.irq.level());
    guest_.write(nvme::Reg::mask_set, 1);
    EXPECT_FALSE(bench_.irq.level());
    guest_.write(nvme::Reg::mask_clear, 1);
    EXPECT_TRUE(bench_.irq.level());
    EXPECT_TRUE(guest_.take(1));
    EXPECT_FALSE(bench_.irq.level());
}

TEST_F(NvmeTest, OneMessageForSeveralCompletions) {
    start();
    for (unsigned i = 0; i < 5; ++i)
        (void)guest_.put(1, NvmeGuest::io(Io::read, i, 1, kData));
    guest_.ring(1);
    EXPECT_LE(bench_.msi.count(), 5U);
    EXPECT_GE(bench_.msi.count(), 1U);
}

TEST_F(NvmeTest, ReadsQueuesAsBusMasterOnly) {
    start();
    controller_.config_write(4, 2, 2);
    guest_.submit(1, NvmeGuest::io(Io::flush));
    EXPECT_EQ(bench_.disk.flushes(), 0U);
    controller_.config_write(4, 2, 6);
    bench_.timers.advance(1'000'000);
    EXPECT_EQ(bench_.disk.flushes(), 1U);
}

TEST_F(NvmeTest, QueueOutsideOfMemoryIsFatal) {
    start();
    nvme::Command cq = NvmeGuest::admin(Admin::create_cq);
    cq.prp1 = 0x4000'0000U;
    cq.cdw10 = 15U << 16 | 2U;
    cq.cdw11 = 3U;
    ASSERT_EQ(guest_.status_of(0, cq), 0U);
    nvme::Command sq = NvmeGuest::admin(Admin::create_sq);
    sq.prp1 = 0x4000'0000U;
    sq.cdw10 = 15U << 16 | 2U;
    sq.cdw11 = 2U << 16 | 1U;
    ASSERT_EQ(guest_.status_of(0, sq), 0U);
    guest_.doorbell(4, 1);
    EXPECT_EQ(guest_.read(nvme::Reg::status) & 3, 2U);
}

TEST_F(NvmeTest, MoreCommandsThanFitGoOnLater) {
    start();
    for (unsigned n = 2; n <= 10; ++n)
        ASSERT_TRUE(guest_.create_pair(n));
    bench_.disk.hold(true);
    for (unsigned n = 1; n <= 10; ++n) {
        for (unsigned i = 0; i < NvmeGuest::kEntries - 1; ++i)
            (void)guest_.put(n, NvmeGuest::io(Io::flush));
        guest_.ring(n);
    }
    EXPECT_EQ(bench_.disk.in_flight(), NvmeController::kMaxInFlight);
    bench_.disk.hold(false);
    bench_.disk.drain();
    bench_.timers.advance(1'000'000);
    EXPECT_EQ(bench_.disk.flushes(), 10 * (NvmeGuest::kEntries - 1));
}

TEST(Nvme, SavedState) {
    NvmeBench bench;
    const auto make = [&] { return std::make_unique<NvmeController>("saved", bench.wiring()); };
    check_saved_state(make, [&](NvmeController& controller) {
        NvmeGuest guest(bench, controller);
        EXPECT_TRUE(guest.enable());
        EXPECT_TRUE(guest.create_pair(1));
        guest.submit(1, NvmeGuest::io(Io::read, 0, 1, kData));
        guest.submit(0, NvmeGuest::admin(Admin::async_event_request));
        controller.set_bar_address(0, 0);
        controller.set_bar_address(4, 0);
    });
}

}  // namespace
}  // namespace banyan
