#include "devices/pci/pci_bus.hpp"

#include <gtest/gtest.h>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "devices/pci/testing/test_function.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint16_t kAddress = 0xcf8;
constexpr uint16_t kData = 0xcfc;
constexpr PciWindows kWindows{
    {0xc000'0000, 0xc010'0000}, {0x8'0000'0000, 0x9'0000'0000}, {0xc000, 0xd000}};

uint32_t config_address(unsigned device, unsigned function, unsigned reg) {
    return 0x8000'0000U | device << 11 | function << 8 | reg;
}
uint64_t ecam(unsigned device, unsigned function, unsigned reg) {
    return device << 15 | function << 12 | reg;
}

class PciHostTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(host_.add_function({0, 0}, bridge_, bridge_lock_));
        ASSERT_TRUE(host_.add_function({3, 0}, function_, lock_));
    }

    void out(uint16_t port, unsigned size, uint32_t value) {
        last_ = host_.pio()->port_write(port, size, value);
    }
    // What the bus makes of it.
    uint32_t in(uint16_t port, unsigned size) {
        uint32_t value = 0;
        last_ = host_.pio()->port_read(port, size, value);
        return static_cast<uint32_t>((last_ == IoStatus::ok ? value : ~0U) & size_mask(size));
    }
    uint32_t ecam_read(uint64_t offset, unsigned size) {
        uint64_t value = 0;
        last_ = host_.mmio()->mmio_read(offset, size, value);
        return static_cast<uint32_t>((last_ == IoStatus::ok ? value : ~0U) & size_mask(size));
    }
    void ecam_write(uint64_t offset, unsigned size, uint32_t value) {
        last_ = host_.mmio()->mmio_write(offset, size, value);
    }

    FakeBarMapper mapper_;
    RecordingMsi msi_;
    Mutex lock_;
    Mutex other_lock_;
    TestFunction function_{PciWiring{mapper_}, msi_};
    TestFunction other_{PciWiring{mapper_}, msi_};
    Mutex bridge_lock_;
    PciHostBridge bridge_{PciWiring{mapper_}};
    PciHost host_;
    IoStatus last_ = IoStatus::ok;
};

// What Linux does to find mechanism #1, arch/x86/pci/direct.c.
TEST_F(PciHostTest, IsRecognisedAsMechanismOne) {
    out(kAddress, 4, 0x8000'0000);
    EXPECT_EQ(in(kAddress, 4), 0x8000'0000U);
    out(kAddress, 4, config_address(0, 0, 8));
    EXPECT_EQ(in(kData + 2, 2), 0x0600U) << "a host bridge on bus 0";
    out(kAddress, 4, config_address(0, 0, 0));
    EXPECT_EQ(in(kData, 4), 0x00081b36U);
}

TEST_F(PciHostTest, AddressTakesOnlyDoubleWords) {
    out(kAddress, 4, ~0U);
    EXPECT_EQ(in(kAddress, 4), 0x80ff'fffcU);
    out(kAddress, 1, 0);
    EXPECT_EQ(last_, IoStatus::no_register);
    out(kAddress, 2, 0);
    EXPECT_EQ(last_, IoStatus::no_register);
    EXPECT_EQ(in(kAddress, 4), 0x80ff'fffcU);
    EXPECT_EQ(in(kAddress, 1), 0xffU);
}

TEST_F(PciHostTest, DoesNotClaimTheResetPort) {
    for (const PortRange& range : host_.port_ranges()) {
        EXPECT_FALSE(0xcf9 >= range.first && 0xcf9 < range.first + range.count);
    }
}

TEST_F(PciHostTest, DataPortIsDeadWhileDisabled) {
    out(kAddress, 4, config_address(3, 0, 0) & 0x7fff'ffff);
    EXPECT_EQ(in(kData, 4), ~0U);
    EXPECT_EQ(last_, IoStatus::no_register);
}

TEST_F(PciHostTest, DataPortTakesBytesAndWords) {
    out(kAddress, 4, config_address(3, 0, 0));
    EXPECT_EQ(in(kData, 4), 0x56781234U);
    EXPECT_EQ(in(kData + 1, 1), 0x12U);
    EXPECT_EQ(in(kData + 2, 2), 0x5678U);
    in(kData + 3, 2);
    EXPECT_EQ(last_, IoStatus::no_register) << "reaches past the register";
    out(kAddress, 4, config_address(3, 0, 0x3c));
    out(kData, 1, 0x0a);
    EXPECT_EQ(in(kData, 2), 0x010aU);
}

TEST_F(PciHostTest, AbsentFunctionsReadAllOnes) {
    out(kAddress, 4, config_address(4, 0, 0));
    EXPECT_EQ(in(kData, 4), ~0U);
    EXPECT_EQ(last_, IoStatus::ok);
    EXPECT_EQ(in(kData, 2), 0xffffU);
    out(kAddress, 4, config_address(3, 0, 0) | 1U << 16);
    EXPECT_EQ(in(kData, 4), ~0U) << "there is no bus 1";
    out(kData, 4, 0);
    EXPECT_EQ(ecam_read(ecam(3, 1, 0), 4), ~0U);
    ecam_write(ecam(3, 1, 4), 4, ~0U);
    EXPECT_EQ(last_, IoStatus::ok);
}

TEST_F(PciHostTest, BothMechanismsShowTheSame) {
    ASSERT_TRUE(host_.assign_bars(kWindows));
    for (const unsigned device : {0U, 3U, 9U}) {
        for (unsigned reg = 0; reg < 256; reg += 4) {
            out(kAddress, 4, config_address(device, 0, reg));
            EXPECT_EQ(in(kData, 4), ecam_read(ecam(device, 0, reg), 4));
            for (unsigned byte = 0; byte < 4; ++byte) {
                EXPECT_EQ(in(static_cast<uint16_t>(kData + byte), 1),
                          ecam_read(ecam(device, 0, reg + byte), 1));
            }
        }
    }
    ecam_write(ecam(3, 0, 0x3c), 1, 0x55);
    out(kAddress, 4, config_address(3, 0, 0x3c));
    EXPECT_EQ(in(kData, 1), 0x55U);
}

TEST_F(PciHostTest, EcamReachesExtendedSpaceAndEndsThere) {
    EXPECT_EQ(ecam_read(ecam(3, 0, 0x100), 4), 0U);
    EXPECT_EQ(last_, IoStatus::ok);
    EXPECT_EQ(ecam_read(ecam(4, 0, 0x100), 4), ~0U);
    ecam_read(PciHost::kEcamSize, 4);
    EXPECT_EQ(last_, IoStatus::no_register);
    ecam_read(ecam(3, 0, 0), 8);
    EXPECT_EQ(last_, IoStatus::bad_size);
    ecam_write(ecam(3, 0, 2), 4, 0);
    EXPECT_EQ(last_, IoStatus::bad_size);
}

TEST_F(PciHostTest, AssignsBarsInTheirWindows) {
    ASSERT_TRUE(host_.assign_bars(kWindows));
    EXPECT_EQ(function_.bar_address(0), 0xc000'0000U);
    EXPECT_EQ(function_.bar_address(2), 0xc001'0000U);
    EXPECT_EQ(function_.bar_address(3), 0xc000U);
    EXPECT_EQ(mapper_.count(), 4U);
    EXPECT_EQ(function_.config_read(4, 2), 3U) << "decoding, but no bus mastering";
}

TEST_F(PciHostTest, UsesTheHighWindowWhenTheLowIsFull) {
    PciWindows windows = kWindows;
    windows.memory32.end = windows.memory32.start + 0x2000;
    ASSERT_TRUE(host_.assign_bars(windows));
    EXPECT_EQ(function_.bar_address(0), 0x8'0000'0000U);
    EXPECT_EQ(function_.bar_address(2), 0xc000'0000U);
}

TEST_F(PciHostTest, SaysWhenTheWindowsAreFull) {
    PciWindows windows = kWindows;
    windows.ports = {};
    const auto result = host_.assign_bars(windows);
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().text().find("test-function"), std::string_view::npos);
    windows.memory32.end = 0x1'0000'1000;
    EXPECT_FALSE(host_.assign_bars(windows));
}

TEST_F(PciHostTest, RefusesPlacesThatAreTakenOrDoNotExist) {
    EXPECT_FALSE(host_.add_function({3, 0}, other_, other_lock_));
    EXPECT_FALSE(host_.add_function({0, 0}, other_, other_lock_));
    EXPECT_FALSE(host_.add_function({32, 0}, other_, other_lock_));
    EXPECT_FALSE(host_.add_function({1, 8}, other_, other_lock_));
}

TEST_F(PciHostTest, MarksDevicesWithSeveralFunctions) {
    EXPECT_EQ(ecam_read(ecam(3, 0, 0x0e), 1), 0U);
    ASSERT_TRUE(host_.add_function({3, 5}, other_, other_lock_));
    EXPECT_EQ(ecam_read(ecam(3, 0, 0x0e), 1), 0x80U);
    EXPECT_EQ(ecam_read(ecam(3, 5, 0), 4), 0x56781234U);
}

TEST_F(PciHostTest, ABarComesUpWhenAnotherFunctionMakesRoom) {
    ASSERT_TRUE(host_.add_function({4, 0}, other_, other_lock_));
    ASSERT_TRUE(host_.assign_bars(kWindows));
    const uint64_t wanted = function_.bar_address(2);
    ecam_write(ecam(4, 0, 0x18), 4, static_cast<uint32_t>(wanted));
    EXPECT_EQ(mapper_.find(other_, 2), nullptr);
    EXPECT_EQ(mapper_.find(function_, 2)->start, wanted) << "who was first stays";

    ecam_write(ecam(3, 0, 0x18), 4, 0xc00f'0000);
    ASSERT_NE(mapper_.find(other_, 2), nullptr);
    EXPECT_EQ(mapper_.find(other_, 2)->start, wanted);
}

TEST(PciHostState, HasTheProperties) {
    check_saved_state([] { return std::make_unique<PciHost>(); },
                      [](PciHost& host) {
                          (void)host.pio()->port_write(kAddress, 4, config_address(0, 0, 0x3c));
                      });
}

}  // namespace
}  // namespace banyan
