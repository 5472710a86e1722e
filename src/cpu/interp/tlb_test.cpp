#include "cpu/interp/tlb.hpp"

#include <gtest/gtest.h>
#include <memory>

namespace banyan::interp {
namespace {

constexpr Tlb::Kind kWritable{.writable = true, .large = false, .global = false};

class TlbTest : public testing::Test {
protected:
    std::unique_ptr<Tlb> tlb = std::make_unique<Tlb>();
    std::array<std::byte, 2 * kPageSize> pages{};
    std::byte* const first = pages.data();
    std::byte* const second = pages.data() + kPageSize;
};

TEST_F(TlbTest, APageThatIsDroppedCannotBeWrittenAtAnyOfItsAddresses) {
    tlb->insert(0x1000, first, kWritable);
    tlb->insert(0x7FFF0000, first, {.writable = true, .large = false, .global = true});
    tlb->insert(0x2000, second, kWritable);

    tlb->drop_write_tags_of(first);

    EXPECT_EQ(tlb->writable(0x1008, 8), nullptr);
    EXPECT_EQ(tlb->writable(0x7FFF0008, 8), nullptr);
    EXPECT_EQ(tlb->readable(0x1008, 8), first + 8);
    EXPECT_EQ(tlb->writable(0x2008, 8), second + 8);
}

TEST_F(TlbTest, DroppingWhatIsNotThereChangesNothing) {
    tlb->insert(0x1000, first, kWritable);
    tlb->insert(0x2000, second, {});
    const uint64_t before = tlb->generation();

    tlb->drop_write_tags_of(second);

    EXPECT_EQ(tlb->generation(), before);
    EXPECT_EQ(tlb->writable(0x1000, 1), first);
}

TEST_F(TlbTest, DroppingAPageThatCouldBeWrittenChangesTheGeneration) {
    tlb->insert(0x1000, first, kWritable);
    const uint64_t before = tlb->generation();

    tlb->drop_write_tags_of(first);

    EXPECT_NE(tlb->generation(), before);
}

}  // namespace
}  // namespace banyan::interp
