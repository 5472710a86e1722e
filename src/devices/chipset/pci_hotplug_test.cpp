#include "devices/chipset/pci_hotplug.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

constexpr uint32_t kPlaces = 1U << 29 | 1U << 30;
constexpr uint16_t kUp = 0xCC0;
constexpr uint16_t kDown = 0xCC4;
constexpr uint16_t kEject = 0xCC8;
constexpr uint16_t kRemovable = 0xCCC;

class EjectedDevices final : public PciHotplugClient {
public:
    void on_ejected(unsigned device) override { devices.push_back(device); }
    std::vector<unsigned> devices;
};

class PciHotplugTest : public testing::Test {
protected:
    uint32_t in(uint16_t port) {
        uint32_t value = 0xFFFF'FFFF;
        EXPECT_EQ(chip.port_read(port, 4, value), IoStatus::ok);
        return value;
    }
    void out(uint16_t port, uint32_t value) {
        EXPECT_EQ(chip.port_write(port, 4, value), IoStatus::ok);
    }

    EjectedDevices ejected;
    PciHotplug chip{{ejected, kPlaces}};
};

TEST_F(PciHotplugTest, TellsOnceThatADeviceHasCome) {
    chip.device_added(29);
    EXPECT_EQ(in(kUp), 1U << 29);
    EXPECT_EQ(in(kUp), 0U);
}

TEST_F(PciHotplugTest, AsksForADeviceUntilItIsEjected) {
    chip.request_removal(30);
    EXPECT_EQ(in(kDown), 1U << 30);
    EXPECT_EQ(in(kDown), 1U << 30);
    EXPECT_TRUE(chip.removal_requested(30));
    out(kEject, 1U << 30);
    EXPECT_EQ(ejected.devices, std::vector<unsigned>{30});
    EXPECT_EQ(in(kDown), 0U);
    EXPECT_FALSE(chip.removal_requested(30));
}

TEST_F(PciHotplugTest, ForgetsToTellOfADeviceThatIsEjected) {
    chip.device_added(30);
    out(kEject, 1U << 30);
    EXPECT_EQ(in(kUp), 0U);
}

TEST_F(PciHotplugTest, EjectsOnlyWhatCanBe) {
    EXPECT_EQ(in(kRemovable), kPlaces);
    out(kEject, 0xFFFF'FFFF);
    EXPECT_EQ(ejected.devices, (std::vector<unsigned>{29, 30}));
    EXPECT_EQ(in(kEject), 0U);
}

TEST_F(PciHotplugTest, ItsOtherRegistersCannotBeWritten) {
    chip.device_added(29);
    chip.request_removal(30);
    for (const uint16_t port : {kUp, kDown, kRemovable})
        out(port, 0);
    EXPECT_EQ(in(kUp), 1U << 29);
    EXPECT_EQ(in(kDown), 1U << 30);
    EXPECT_EQ(in(kRemovable), kPlaces);
    EXPECT_TRUE(ejected.devices.empty());
}

TEST_F(PciHotplugTest, TakesDoubleWordsOnly) {
    uint32_t value = 0;
    EXPECT_EQ(chip.port_read(kUp, 1, value), IoStatus::bad_size);
    EXPECT_EQ(chip.port_write(kEject, 2, 0xFFFF), IoStatus::bad_size);
    EXPECT_EQ(chip.port_read(kUp + 2, 4, value), IoStatus::no_register);
    EXPECT_TRUE(ejected.devices.empty());
}

TEST_F(PciHotplugTest, WhatWasToGoCanBeLetGoOfWithoutTheGuest) {
    chip.device_added(29);
    chip.request_removal(30);
    chip.eject_requested();
    EXPECT_EQ(ejected.devices, std::vector<unsigned>{30});
    EXPECT_EQ(in(kUp), 1U << 29);
    EXPECT_EQ(in(kDown), 0U);
}

TEST_F(PciHotplugTest, ANewDeviceIsNotAskedToGoForTheOneBeforeIt) {
    chip.request_removal(30);
    chip.device_added(30);
    EXPECT_EQ(in(kDown), 0U);
    EXPECT_EQ(in(kUp), 1U << 30);
}

TEST_F(PciHotplugTest, ResetForgetsWhatWasToBeTold) {
    chip.device_added(29);
    chip.request_removal(30);
    chip.reset();
    EXPECT_TRUE(ejected.devices.empty());
    EXPECT_EQ(in(kUp), 0U);
    EXPECT_EQ(in(kDown), 0U);
}

TEST_F(PciHotplugTest, SavesItsState) {
    check_saved_state(
        [&] {
            return std::make_unique<PciHotplug>(PciHotplug::Wiring{ejected, kPlaces});
        },
        [](PciHotplug& used) {
            used.device_added(29);
            used.request_removal(30);
        });
}

TEST_F(PciHotplugTest, RefusesASavedStateOfOtherPlaces) {
    PciHotplug other({ejected, 1U << 5});
    other.device_added(5);
    const auto bytes = saved_bytes(other);
    StateReader reader(bytes);
    EXPECT_FALSE(chip.restore(reader));
}

}  // namespace
}  // namespace banyan
