#include "cpu/kvm/kvm_memory.hpp"

#include <gtest/gtest.h>
#include <map>

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
            return take(region);
        });
        vm.on<kvm_dirty_log>(KVM_GET_DIRTY_LOG, [this](const kvm_dirty_log& log) {
            *static_cast<uint64_t*>(log.dirty_bitmap) = std::exchange(dirty, 0);
            return 0;
        });
        ASSERT_TRUE(kvm.map());
    }

    // As the kernel does: it refuses slots that overlap, and to take away what is not there.
    int take(const kvm_userspace_memory_region& asked) {
        if (asked.memory_size == 0) {
            if (taken.erase(asked.slot) == 0) ++refusals;
            return 0;
        }
        for (const auto& [slot, other] : taken) {
            if (slot != asked.slot &&
                asked.guest_phys_addr < other.guest_phys_addr + other.memory_size &&
                other.guest_phys_addr < asked.guest_phys_addr + asked.memory_size)
                ++refusals;
        }
        taken[asked.slot] = asked;
        return 0;
    }

    Pages ram;
    Pages rom;
    GuestMemory memory;
    FakeHandle vm;
    std::map<uint32_t, kvm_userspace_memory_region> taken;
    unsigned refusals = 0;
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

// As PAM registers do: RAM is shown in place of a ROM, and the ROM is told afterwards.
TEST_F(KvmMemoryTest, WindowsMayOverlapUntilBothAreChanged) {
    Pages shadow;
    Pages firmware;
    const auto first = memory.add_window(shadow.bytes, 1);
    const auto second = memory.add_window(firmware.bytes, 2);
    const auto all = [](MemoryKind kind) {
        return std::array{WindowPlace{Gpa{0x200000}, 0, 4 * kPageSize, kind}};
    };
    memory.place_window(*second, all(MemoryKind::rom));
    memory.place_window(*first,
                        std::array{WindowPlace{Gpa{0x201000}, 0, kPageSize, MemoryKind::ram}});
    EXPECT_EQ(taken.size(), 5U) << "the ROM on both sides";
    EXPECT_EQ(taken.at(2).memory_size, uint64_t{kPageSize});

    memory.place_window(*first, all(MemoryKind::ram));
    EXPECT_EQ(taken.size(), 3U);
    memory.place_window(*second, {});
    memory.place_window(*first, {});
    EXPECT_EQ(taken.size(), 2U);
    EXPECT_EQ(refusals, 0U);
}

// Rings as the kernel fills them.
class KvmRingsTest : public KvmMemoryTest {
protected:
    static constexpr size_t kEntries = 4;

    void SetUp() override {
        KvmMemoryTest::SetUp();
        vm.accept({KVM_RESET_DIRTY_RINGS});
        for (auto& ring : rings)
            kvm.add_ring(ring);
        memory.start_dirty_log();
        kvm.start_log();
    }
    void write(unsigned cpu, size_t entry, uint32_t slot, uint64_t page) {
        rings[cpu][entry] = {KVM_DIRTY_GFN_F_DIRTY, slot, page};
    }
    std::vector<Gpa> collected() {
        kvm.collect();
        return memory.take_dirty();
    }

    std::array<std::array<kvm_dirty_gfn, kEntries>, 2> rings{};
};

TEST_F(KvmRingsTest, WhatEachVcpuWroteReachesTheDirtyLog) {
    write(0, 0, 0, 1);
    write(1, 0, 0, 3);

    EXPECT_EQ(collected(), (std::vector<Gpa>{{kPageSize}, {3 * kPageSize}}));

    EXPECT_EQ(rings[0][0].flags, unsigned{KVM_DIRTY_GFN_F_RESET});
    EXPECT_EQ(vm.count(KVM_RESET_DIRTY_RINGS), 1U);
    EXPECT_EQ(vm.count(KVM_GET_DIRTY_LOG), 0U) << "KVM refuses it then";
}

TEST_F(KvmRingsTest, NothingIsTakenTwiceAndTheRingGoesRound) {
    for (size_t entry = 0; entry < kEntries; ++entry)
        write(0, entry, 0, entry);
    EXPECT_EQ(collected().size(), kEntries);
    EXPECT_TRUE(collected().empty());
    EXPECT_EQ(vm.count(KVM_RESET_DIRTY_RINGS), 1U);

    write(0, 0, 0, 2);
    EXPECT_EQ(collected(), (std::vector<Gpa>{{2 * kPageSize}}));
}

TEST_F(KvmRingsTest, EntriesThatFitNoSlotAreNothing) {
    write(0, 0, 77, 0);
    write(0, 1, 0, 1000);

    EXPECT_TRUE(collected().empty());
}

TEST_F(KvmRingsTest, AWindowThatMovesIsCollectedWhereItWas) {
    Pages flash;
    const auto window = memory.add_window(flash.bytes, 1);
    ASSERT_TRUE(window.has_value());
    memory.place_window(*window,
                        std::array{WindowPlace{Gpa{0x300000}, 0, kPageSize, MemoryKind::ram}});
    memory.start_dirty_log();
    write(0, 0, 2, 0);

    memory.place_window(*window, {});

    EXPECT_EQ(rings[0][0].flags, unsigned{KVM_DIRTY_GFN_F_RESET});
    EXPECT_TRUE(collected().empty());
}

TEST(KvmRings, AreForKernelsThatHaveRoomForThem) {
    FakeHandle system;
    FakeHandle vm;
    GuestMemory memory;
    KvmMemory kvm(vm, memory);
    EXPECT_FALSE(kvm.enable_rings(system));

    system.answers[KVM_CHECK_EXTENSION] = [](uint64_t number) {
        return number == KVM_CAP_DIRTY_LOG_RING ? 1 << 20 : 0;
    };
    EXPECT_FALSE(kvm.enable_rings(system)) << "the kernel refuses";
    kvm_enable_cap asked{};
    vm.on<kvm_enable_cap>(KVM_ENABLE_CAP, [&](const kvm_enable_cap& cap) {
        asked = cap;
        return 0;
    });
    EXPECT_TRUE(kvm.enable_rings(system));
    EXPECT_EQ(asked.cap, unsigned{KVM_CAP_DIRTY_LOG_RING});
    EXPECT_EQ(asked.args[0], KvmDirtyRing::kBytes);
}

TEST_F(KvmMemoryTest, WithoutALogNothingIsAsked) {
    kvm.collect();

    EXPECT_EQ(vm.count(KVM_GET_DIRTY_LOG), 0U);
}

}  // namespace
}  // namespace banyan::kvm
