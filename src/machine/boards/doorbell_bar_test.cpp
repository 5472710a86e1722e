#include "machine/boards/doorbell_bar.hpp"

#include <gtest/gtest.h>
#include <vector>

#include "vm/testing/fake_engine_doorbells.hpp"

namespace banyan {
namespace {

class RecordingMmio final : public MmioIo {
public:
    IoStatus mmio_read(uint64_t, unsigned, uint64_t& value) override {
        value = 0x55;
        return IoStatus::ok;
    }
    IoStatus mmio_write(uint64_t offset, unsigned, uint64_t) override {
        writes.push_back(offset);
        return IoStatus::ok;
    }
    std::vector<uint64_t> writes;
};

// Two doorbells at 0x3000 and 0x3004.
class DoorbellBarTest : public ::testing::Test {
protected:
    void SetUp() override {
        bar = std::move(*DoorbellBar::create(slot,
                                             {.kind = PciBarKind::memory64,
                                              .size = 0x4000,
                                              .memory = &mmio,
                                              .doorbells = {0x3000, 4, 2}},
                                             engine));
    }

    DeviceSlot slot;
    RecordingMmio mmio;
    FakeEngineDoorbells engine;
    std::unique_ptr<DoorbellBar> bar;
};

TEST_F(DoorbellBarTest, TheFirstWriteIsDoneAndBringsTheDoorbellToTheEngine) {
    bar->map({0xE000'0000});
    EXPECT_TRUE(engine.placed.empty());

    bar->mmio_write(0x3004, 2, 1);

    EXPECT_EQ(mmio.writes, std::vector<uint64_t>{0x3004});
    ASSERT_EQ(engine.placed.size(), 1U);
    EXPECT_TRUE(engine.ring(0xE000'3004));
    EXPECT_EQ(mmio.writes, (std::vector<uint64_t>{0x3004, 0x3004}));
}

TEST_F(DoorbellBarTest, OtherAccessesPassThrough) {
    bar->map({0xE000'0000});
    uint64_t value = 0;

    bar->mmio_write(0x14, 1, 0);
    bar->mmio_write(0x3002, 2, 0);
    bar->mmio_write(0x3008, 2, 0);
    bar->mmio_read(0x3000, 2, value);

    EXPECT_EQ(mmio.writes, (std::vector<uint64_t>{0x14, 0x3002, 0x3008}));
    EXPECT_EQ(value, 0x55U);
    EXPECT_EQ(engine.asked, 0U);
}

TEST_F(DoorbellBarTest, ABarThatMovesTakesItsDoorbellsAlong) {
    bar->map({0xE000'0000});
    bar->mmio_write(0x3000, 2, 0);
    bar->unmap();
    EXPECT_TRUE(engine.placed.empty());

    bar->map({0xE100'0000});
    bar->mmio_write(0x3000, 2, 0);

    EXPECT_FALSE(engine.ring(0xE000'3000));
    EXPECT_TRUE(engine.ring(0xE100'3000));
}

TEST_F(DoorbellBarTest, AnEngineThatRefusesIsNotAskedForEachWrite) {
    engine.refuse = true;
    bar->map({0xE000'0000});

    bar->mmio_write(0x3000, 2, 0);
    bar->mmio_write(0x3000, 2, 0);

    EXPECT_EQ(engine.asked, 1U);
    EXPECT_EQ(mmio.writes.size(), 2U);
}

TEST_F(DoorbellBarTest, WhereTheBarIsNotMappedNothingIsPlaced) {
    bar->mmio_write(0x3000, 2, 0);
    EXPECT_EQ(engine.asked, 0U);
}

}  // namespace
}  // namespace banyan
