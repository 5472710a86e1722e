#include "cpu/kvm/kvm_exits.hpp"

#include <gtest/gtest.h>

#include "cpu/kvm/kvm_testing.hpp"

namespace banyan::kvm {
namespace {

constexpr size_t kData = 4096;

class KvmExitsTest : public testing::Test {
protected:
    void port_exit(uint8_t direction, uint8_t size, uint16_t port, uint32_t count) {
        run.exit_reason = KVM_EXIT_IO;
        run.io = {direction, size, port, count, kData};
    }
    std::byte* data() { return handle.page.data() + kData; }

    FakeHandle handle;
    kvm_run& run = handle.run_page();
    RecordingIo io;
    RecordingEoi eoi;
    KvmExits exits{{run, io, eoi}};
};

TEST_F(KvmExitsTest, AStringOfPortWritesIsDoneInOrder) {
    port_exit(KVM_EXIT_IO_OUT, 2, 0x3F8, 3);
    const uint16_t values[] = {0x1234, 0x5678, 0x9ABC};
    std::memcpy(data(), values, sizeof(values));

    EXPECT_FALSE(exits.handle());

    EXPECT_EQ(io.writes,
              (std::vector<Access>{{0x3F8, 2, 0x1234}, {0x3F8, 2, 0x5678}, {0x3F8, 2, 0x9ABC}}));
}

TEST_F(KvmExitsTest, PortReadsFillTheirDataAndNoMore) {
    port_exit(KVM_EXIT_IO_IN, 1, 0x60, 2);

    EXPECT_FALSE(exits.handle());

    EXPECT_EQ(io.reads.size(), 2U);
    EXPECT_EQ(data()[0], std::byte{0x11});
    EXPECT_EQ(data()[1], std::byte{0x22});
    EXPECT_EQ(data()[2], std::byte{0});
}

TEST_F(KvmExitsTest, MemoryIsReadAndWritten) {
    run.exit_reason = KVM_EXIT_MMIO;
    run.mmio = {0xFEC00010, {0x78, 0x56, 0x34, 0x12}, 4, 1};
    EXPECT_FALSE(exits.handle());
    EXPECT_EQ(io.writes, (std::vector<Access>{{0xFEC00010, 4, 0x12345678}}));

    run.mmio = {0xE0000000, {0xFF, 0xFF, 0xFF}, 2, 0};
    EXPECT_FALSE(exits.handle());
    EXPECT_EQ(run.mmio.data[0], 0x11);
    EXPECT_EQ(run.mmio.data[1], 0);
    EXPECT_EQ(run.mmio.data[2], 0xFF);
}

TEST_F(KvmExitsTest, TheIoApicIsToldOfEndsOfInterrupts) {
    run.exit_reason = KVM_EXIT_IOAPIC_EOI;
    run.eoi.vector = 0x31;

    EXPECT_FALSE(exits.handle());

    EXPECT_EQ(eoi.vectors, (std::vector<uint8_t>{0x31}));
}

TEST_F(KvmExitsTest, ATripleFaultIsAShutdown) {
    run.exit_reason = KVM_EXIT_SHUTDOWN;

    const auto exit = exits.handle();

    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->reason, ExitReason::shutdown);
}

TEST_F(KvmExitsTest, WhatCannotGoOnSaysWhatAndWhichNumber) {
    run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
    const auto internal = exits.handle();
    ASSERT_TRUE(internal);
    EXPECT_EQ(internal->reason, ExitReason::internal_error);
    EXPECT_NE(internal->text.find("0x3"), std::string_view::npos) << internal->text;

    run.exit_reason = 0x7777;
    const auto unknown = exits.handle();
    ASSERT_TRUE(unknown);
    EXPECT_EQ(unknown->reason, ExitReason::internal_error);
    EXPECT_NE(unknown->text.find("0x7777"), std::string_view::npos) << unknown->text;
}

TEST_F(KvmExitsTest, ExitsAreCountedByKind) {
    port_exit(KVM_EXIT_IO_IN, 1, 0x60, 1);
    exits.handle();
    exits.handle();
    run.exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
    exits.handle();

    Statistics counted;
    exits.add_statistics(counted);

    EXPECT_EQ(counted.at(0).name, "port_exits");
    EXPECT_EQ(counted.at(0).value, 2U);
    EXPECT_EQ(counted.at(3).name, "interrupt_windows");
    EXPECT_EQ(counted.at(3).value, 1U);
}

}  // namespace
}  // namespace banyan::kvm
