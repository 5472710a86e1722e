#include "devices/scsi/plan_runner.hpp"

#include <gtest/gtest.h>

#include "devices/scsi/testing/scsi_initiator.hpp"

namespace banyan {
namespace {

using Result = PlanRunner::Result;

class PlanRunnerTest : public testing::Test, private BlockClient {
protected:
    void run(const DataPlan& plan, std::vector<DmaSegment> segments) {
        ListedSegments source(std::move(segments));
        ended_ = runner_.start(plan, source, disk_, *this, 1) || ended_;
    }
    void on_block_complete(uint64_t, BlockStatus status) override {
        ++steps_;
        ended_ = runner_.advance(status) || ended_;
    }
    std::string guest(Gpa at, size_t length) {
        std::string text(length, '\0');
        EXPECT_TRUE(ram_.memory().read(at, std::as_writable_bytes(std::span(text))));
        return text;
    }
    char* disk() { return reinterpret_cast<char*>(disk_.bytes().data()); }

    MemoryBlock disk_{1 << 20};
    FakeRam ram_{1 << 20};
    PlanRunner runner_{ram_.memory()};
    bool ended_ = false;
    unsigned steps_ = 0;
};

// A list of more pieces than a window holds, none of which ends at a sector.
TEST_F(PlanRunnerTest, WorksThroughListsOfAnyLength) {
    for (size_t i = 0; i < 4096; ++i)
        disk()[i] = static_cast<char>('a' + i % 23);
    std::vector<DmaSegment> segments;
    for (uint64_t i = 0; i < 2048; ++i)
        segments.push_back({Gpa{0x1000 + i * 6}, 2});
    run({.kind = PlanKind::media_in, .length = 4096}, segments);
    ASSERT_TRUE(ended_);
    EXPECT_EQ(runner_.result(), Result::ok);
    EXPECT_EQ(runner_.moved(), 4096U);
    EXPECT_EQ(steps_, 8U) << "256 pieces of 2 bytes are a sector";
    std::string got;
    for (const DmaSegment& segment : segments)
        got += guest(segment.gpa, 2);
    EXPECT_EQ(got, std::string(disk(), 4096));
}

TEST_F(PlanRunnerTest, KeepsWhatDoesNotFitIntoAWindowForTheNext) {
    for (size_t i = 0; i < 8192; ++i)
        disk()[i] = static_cast<char>('a' + i % 19);
    std::vector<DmaSegment> segments;
    for (uint64_t i = 0; i < 300; ++i)
        segments.push_back({Gpa{0x1000 + i * 64}, 22});
    segments.push_back({Gpa{0x20000}, 4096});
    run({.kind = PlanKind::media_in, .length = 8192}, segments);
    ASSERT_TRUE(ended_);
    EXPECT_EQ(runner_.result(), Result::ok);
    std::string got;
    for (const DmaSegment& segment : segments)
        got += guest(segment.gpa, segment.length);
    EXPECT_EQ(got.substr(0, 8192), std::string(disk(), 8192));
}

TEST_F(PlanRunnerTest, SaysWhenTheListIsTooShort) {
    run({.kind = PlanKind::media_in, .length = 2048}, {{Gpa{0}, 1000}});
    EXPECT_EQ(runner_.result(), Result::ok);
    EXPECT_TRUE(runner_.overflow());
    EXPECT_EQ(runner_.moved(), 512U) << "whole sectors";
    run({.kind = PlanKind::media_out, .length = 2048}, {{Gpa{0}, 1024}});
    EXPECT_EQ(runner_.result(), Result::short_list);
}

TEST_F(PlanRunnerTest, RefusesWhatIsNotMemory) {
    run({.kind = PlanKind::media_in, .length = 512}, {{Gpa{0xfff00}, 512}});
    EXPECT_EQ(runner_.result(), Result::bad_memory);
    EXPECT_EQ(steps_, 0U);
}

TEST_F(PlanRunnerTest, FillsWithAPattern) {
    BlockWork& work = runner_.work();
    work.kind = BlockWork::Kind::fill;
    work.range_count = 0;
    work.add({1024, 512 * 700});
    work.pattern.fill(std::byte{'p'});
    run({.kind = PlanKind::work, .flush_after = true}, {});
    ASSERT_TRUE(ended_);
    EXPECT_EQ(steps_, 4U) << "three writes and the flush";
    EXPECT_EQ(disk_.flushes(), 1U);
    EXPECT_EQ(disk()[1023], '\0');
    EXPECT_EQ(std::string(disk() + 1024, 512 * 700), std::string(512 * 700, 'p'));
    EXPECT_EQ(disk()[1024 + 512 * 700], '\0');
}

TEST_F(PlanRunnerTest, DiscardsEachRange) {
    BlockWork& work = runner_.work();
    work.kind = BlockWork::Kind::discard;
    work.range_count = 0;
    work.add({0, 512});
    work.add({1024, 0});
    work.add({4096, 512});
    run({.kind = PlanKind::work}, {});
    EXPECT_EQ(disk_.discards(), 2U) << "one is empty";
}

TEST_F(PlanRunnerTest, PassesErrorsOn) {
    disk_.fail_with(BlockStatus::io_error);
    run({.kind = PlanKind::media_in, .length = 512}, {{Gpa{0}, 512}});
    EXPECT_EQ(runner_.result(), Result::media_error);
    EXPECT_FALSE(runner_.busy());
}

}  // namespace
}  // namespace banyan
