// Devices that come and go while the guest runs.
#include <gtest/gtest.h>
#include <thread>

#include "machine/boards/board.hpp"
#include "machine/boards/board_testing.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fake_engine_doorbells.hpp"
#include "vm/testing/fake_network.hpp"

namespace banyan {
namespace {

using testing::TestMachine;

constexpr uint16_t kUp = 0xCC0;
constexpr uint16_t kDown = 0xCC4;
constexpr uint16_t kEject = 0xCC8;
constexpr uint64_t kBar = 0xD0000000;
constexpr uint32_t kNobody = 0xFFFFFFFF;

class CountingListener final : public EjectListener {
public:
    void on_device_ejected() override { ++told; }
    std::atomic<unsigned> told{0};
};

class HotplugTest : public ::testing::TestWithParam<BoardKind> {
protected:
    void SetUp() override {
        machine.config.hotplug_places = 2;
        machine.ejected = &listener;
        const auto built = machine.build();
        ASSERT_TRUE(built) << built.error().text();
        ASSERT_TRUE(machine.board->prepare_direct_boot());
    }
    unsigned plug_disk() {
        const auto device = machine.board->plug_disk({&disk, "new-disk"});
        EXPECT_TRUE(device) << device.error().text();
        return device.value_or(0);
    }
    unsigned plug_net() {
        const auto device =
            machine.board->plug_net({.backend = &network, .mac = {2, 0, 0, 0, 0, 7}});
        EXPECT_TRUE(device) << device.error().text();
        return device.value_or(0);
    }
    // As a system does that has found it.
    void place_bars(unsigned device) {
        machine.config_write(device, 0x10, kBar);
        machine.config_write(device, 0x14, 0);
        machine.config_write(device, 0x18, kBar + 0x10000);
        machine.config_write(device, 0x1C, 0);
        machine.config_write(device, 0x04, 6);
    }
    Result<void> resize(MemoryBlock& which, size_t bytes) {
        return machine.board->resize_disk(which, [&]() -> Result<void> {
            which.bytes().resize(bytes);
            return {};
        });
    }
    void eject(unsigned device) { machine.out(kEject, 1U << device, 4); }

    TestMachine machine{GetParam()};
    MemoryBlock disk{1 << 20};
    FakeNetwork network;
    CountingListener listener;
};

INSTANTIATE_TEST_SUITE_P(Kinds, HotplugTest, ::testing::Values(BoardKind::pc, BoardKind::micro),
                         [](const auto& instance) {
                             return instance.param == BoardKind::pc ? "pc" : "micro";
                         });

TEST_P(HotplugTest, ADiskComesAndTheGuestIsTold) {
    machine.enable_apic();
    machine.route(9, 0x39, true);
    machine.out(0xB2, 2);            // ACPI mode
    machine.out(0x622, 1U << 1, 2);  // its event
    const unsigned device = plug_disk();
    EXPECT_EQ(machine.take_interrupt(), 0x39);
    EXPECT_EQ(machine.in(kUp, 4), 1U << device);
    EXPECT_EQ(machine.in(kUp, 4), 0U);
    EXPECT_EQ(machine.config_read(device, 0), 0x10421AF4U);
}

TEST_P(HotplugTest, ItsRegistersAnswerWhereTheGuestPutsThem) {
    const unsigned device = plug_disk();
    place_bars(device);
    EXPECT_EQ(machine.read(kBar + 0x2000), (1U << 20) / 512) << "the capacity";
    EXPECT_EQ(machine.read(kBar + 0x1000C), 1U) << "vector 0 is masked";
}

TEST_P(HotplugTest, NothingIsLeftOfADeviceThatIsEjected) {
    const unsigned device = plug_disk();
    place_bars(device);
    machine.board->request_unplug(device);
    EXPECT_EQ(machine.in(kDown, 4), 1U << device);
    EXPECT_FALSE(machine.board->remove_ejected(device)) << "the guest still has it";
    eject(device);
    EXPECT_EQ(listener.told, 1U);
    EXPECT_EQ(machine.in(kDown, 4), 0U);
    EXPECT_EQ(machine.config_read(device, 0), kNobody);
    EXPECT_EQ(machine.read(kBar + 0x2000), kNobody);
    machine.write(kBar + 0x14, 1, 1);
    eject(device);
    EXPECT_EQ(listener.told, 1U) << "once is enough";
    EXPECT_TRUE(machine.board->remove_ejected(device));
    EXPECT_FALSE(machine.board->remove_ejected(device));
}

TEST_P(HotplugTest, APlaceServesOneDeviceAfterAnother) {
    const unsigned first = plug_disk();
    place_bars(first);
    eject(first);
    EXPECT_TRUE(machine.board->remove_ejected(first));
    const unsigned second = plug_net();
    EXPECT_EQ(second, first);
    place_bars(second);
    EXPECT_EQ(machine.config_read(second, 0), 0x10411AF4U);
    EXPECT_EQ(machine.read(kBar + 0x2000, 2), 0x0002U) << "its address";
}

TEST_P(HotplugTest, RefusesMoreThanItHasPlacesFor) {
    EXPECT_EQ(machine.board->hotplug_places(), 2U);
    const unsigned first = plug_disk();
    plug_net();
    const auto third = machine.board->plug_disk({&machine.nvme_disk, ""});
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code(), ErrorCode::busy);
    eject(first);
    EXPECT_FALSE(machine.board->plug_disk({&machine.nvme_disk, ""})) << "not before it is removed";
    EXPECT_TRUE(machine.board->remove_ejected(first));
    EXPECT_TRUE(machine.board->plug_disk({&machine.nvme_disk, ""}));
}

TEST_P(HotplugTest, AResetLetsGoOfWhatWasToGo) {
    const unsigned going = plug_disk();
    const unsigned staying = plug_net();
    machine.board->request_unplug(going);
    machine.board->reset();
    EXPECT_TRUE(machine.board->remove_ejected(going));
    EXPECT_FALSE(machine.board->remove_ejected(staying));
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    EXPECT_EQ(machine.config_read(going, 0), kNobody);
    EXPECT_EQ(machine.config_read(staying, 0), 0x10411AF4U);
    EXPECT_NE(machine.config_read(staying, 0x10) & ~0xFU, 0U) << "firmware places its BARs";
}

TEST_P(HotplugTest, ADeviceThatCameIsInTheSavedState) {
    const unsigned device = plug_disk();
    place_bars(device);
    StateWriter saved;
    machine.board->save(saved);
    machine.board->reset();
    StateReader reader(saved.bytes());
    ASSERT_TRUE(machine.board->restore(reader));
    EXPECT_EQ(machine.read(kBar + 0x2000), (1U << 20) / 512);

    eject(device);
    EXPECT_TRUE(machine.board->remove_ejected(device));
    StateReader again(saved.bytes());
    const auto restored = machine.board->restore(again);
    ASSERT_FALSE(restored) << "without the device";
    EXPECT_NE(restored.error().text().find("other devices"), std::string::npos);
}

TEST_P(HotplugTest, WhatIsToGoStaysWhenAStateIsLoaded) {
    const unsigned device = plug_disk();
    machine.board->request_unplug(device);
    StateWriter saved;
    machine.board->save(saved);
    StateReader reader(saved.bytes());
    ASSERT_TRUE(machine.board->restore(reader));
    EXPECT_EQ(machine.in(kDown, 4), 1U << device);
    EXPECT_EQ(machine.config_read(device, 0), 0x10421AF4U);
}

TEST_P(HotplugTest, ADiskIsResizedAndTheGuestSeesIt) {
    const unsigned device = plug_disk();
    place_bars(device);
    const uint64_t generation = machine.read(kBar + 0x15, 1);
    ASSERT_TRUE(resize(disk, 4 << 20));
    EXPECT_EQ(machine.read(kBar + 0x2000), (4U << 20) / 512);
    EXPECT_NE(machine.read(kBar + 0x15, 1), generation);
    ASSERT_TRUE(resize(machine.disk, 2 << 20)) << "one from the start";
    EXPECT_EQ(resize(machine.nvme_disk, 2 << 20).error().code(), ErrorCode::unsupported);
}

// A guest may use a device in every way while it comes and goes.
TEST_P(HotplugTest, VcpusMayBeInsideWhileItComesAndGoes) {
    std::atomic<bool> stop{false};
    const unsigned device = plug_disk();
    std::thread vcpu([&] {
        for (unsigned n = 0; !stop; ++n) {
            place_bars(device);
            machine.write(kBar + 0x14, n, 1);
            (void)machine.read(kBar + 0x2000);
            machine.write(kBar + 0x3000, 0, 2);
            if (n % 8 == 7) eject(device);
        }
    });
    for (unsigned round = 0; round < 200; ++round) {
        while (!machine.board->remove_ejected(device))
            std::this_thread::yield();
        EXPECT_EQ(plug_disk(), device);
    }
    stop = true;
    vcpu.join();
    EXPECT_GE(listener.told, 200U);
}

TEST(HotplugWithDoorbells, TheyGoWithTheDevice) {
    FakeEngineDoorbells doorbells;
    TestMachine machine{BoardKind::micro};
    machine.doorbells = &doorbells;
    machine.config.hotplug_places = 1;
    ASSERT_TRUE(machine.build());
    MemoryBlock disk{1 << 20};
    const auto device = machine.board->plug_disk({&disk, ""});
    ASSERT_TRUE(device);
    machine.config_write(*device, 0x10, kBar);
    machine.config_write(*device, 0x18, kBar + 0x10000);
    machine.config_write(*device, 0x04, 6);
    machine.write(kBar + 0x3000, 0, 2);
    EXPECT_TRUE(doorbells.ring(kBar + 0x3000));
    machine.out(kEject, 1U << *device, 4);
    EXPECT_FALSE(doorbells.ring(kBar + 0x3000));
    EXPECT_TRUE(machine.board->remove_ejected(*device));
}

TEST(HotplugOfASmallBoard, IsNotThereUnlessAskedFor) {
    TestMachine machine{BoardKind::micro};
    ASSERT_TRUE(machine.build());
    EXPECT_EQ(machine.in(kUp, 4), kNobody);
    EXPECT_FALSE(machine.board->plug_disk({&machine.disk, ""}));
    EXPECT_FALSE(machine.board->remove_ejected(30));
    machine.board->request_unplug(30);
}

}  // namespace
}  // namespace banyan
