#include "cpu/kvm/kvm_memory.hpp"

#include <gtest/gtest.h>

#include "cpu/kvm/kvm_testing.hpp"

namespace banyan::kvm {
namespace {

class KvmMemoryTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(memory.add_region({0}, ram.bytes, MemoryKind::ram));
        ASSERT_TRUE(memory.add_region({0x100000}, rom.bytes, MemoryKind::rom));
        vm.on<kvm_userspace_memory_region>(KVM_SET_USER_MEMORY_REGION, [this](const auto& region) {
            slots.push_back(region);
            return 0;
        });
        vm.on<kvm_dirty_log>(KVM_GET_DIRTY_LOG, [this](const kvm_dirty_log& log) {
            *static_cast<uint64_t*>(log.dirty_bitmap) = std::exchange(dirty, 0);
            return 0;
        });
        ASSERT_TRUE(kvm.map());
    }

    Pages ram;
    Pages rom;
    GuestMemory memory;
    FakeHandle vm;
    KvmMemory kvm{vm, memory};
    std::vector<kvm_userspace_memory_region> slots;
    uint64_t dirty = 0;
};

TEST_F(KvmMemoryTest, EachRegionHasASlot) {
    ASSERT_EQ(slots.size(), 2U);
    EXPECT_EQ(slots[0].slot, 0U);
    EXPECT_EQ(slots[0].flags, 0U);
    EXPECT_EQ(slots[0].memory_size, sizeof(Pages));
    EXPECT_EQ(slots[1].slot, 1U);
    EXPECT_EQ(slots[1].flags, unsigned{KVM_MEM_READONLY});
    EXPECT_EQ(slots[1].guest_phys_addr, 0x100000U);
}

TEST_F(KvmMemoryTest, ARefusalSaysWhatItWasFor) {
    vm.answers.erase(KVM_SET_USER_MEMORY_REGION);

    const auto mapped = kvm.map();

    ASSERT_FALSE(mapped);
    EXPECT_TRUE(mapped.error().text().starts_with("give the guest its memory: "));
}

TEST_F(KvmMemoryTest, WritesOfTheGuestReachTheDirtyLog) {
    memory.start_dirty_log();
    kvm.start_log();
    kvm.start_log();
    EXPECT_EQ(slots.size(), 4U) << "it is switched on once";
    EXPECT_EQ(slots[2].flags, unsigned{KVM_MEM_LOG_DIRTY_PAGES});

    dirty = 0b1010;
    kvm.collect();
    EXPECT_EQ(memory.take_dirty(), (std::vector<Gpa>{{kPageSize}, {3 * kPageSize}}));

    kvm.collect();
    EXPECT_TRUE(memory.take_dirty().empty());
}

// KVM refuses slots that overlap, so what goes is taken away before anything comes.
TEST_F(KvmMemoryTest, WindowsTakeTheirSlotsWithThem) {
    Pages flash;
    const auto window = memory.add_window(flash.bytes, 2);
    ASSERT_TRUE(window.has_value());
    slots.clear();
    memory.place_window(
        *window, std::array{WindowPlace{Gpa{0x200000}, 0, kPageSize, MemoryKind::rom},
                            WindowPlace{Gpa{0x300000}, kPageSize, kPageSize, MemoryKind::ram}});
    ASSERT_EQ(slots.size(), 2U);
    EXPECT_EQ(slots[0].slot, 2U);
    EXPECT_EQ(slots[0].flags, unsigned{KVM_MEM_READONLY});
    EXPECT_EQ(slots[1].userspace_addr, slots[0].userspace_addr + kPageSize);

    slots.clear();
    memory.place_window(*window,
                        std::array{WindowPlace{Gpa{0x300000}, 0, kPageSize, MemoryKind::ram}});
    ASSERT_EQ(slots.size(), 3U);
    EXPECT_EQ(slots[0].memory_size, 0U);
    EXPECT_EQ(slots[1].memory_size, 0U);
    EXPECT_EQ(slots[2].slot, 2U);
    EXPECT_EQ(slots[2].guest_phys_addr, 0x300000U);
}

TEST_F(KvmMemoryTest, WithoutALogNothingIsAsked) {
    kvm.collect();

    EXPECT_EQ(vm.count(KVM_GET_DIRTY_LOG), 0U);
}

}  // namespace
}  // namespace banyan::kvm
