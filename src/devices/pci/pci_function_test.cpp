#include "devices/pci/pci_function.hpp"

#include <gtest/gtest.h>
#include <set>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "devices/pci/testing/test_function.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint16_t kCommand = 0x04;
constexpr uint16_t kBar0 = 0x10;
constexpr uint32_t kIo = 1;
constexpr uint32_t kMemory = 2;
constexpr uint32_t kBusMaster = 4;
constexpr uint32_t kInterruptDisable = 0x400;

class PciFunctionTest : public testing::Test {
protected:
    uint32_t read32(uint16_t offset) { return function_.config_read(offset, 4); }
    void write32(uint16_t offset, uint32_t value) { function_.config_write(offset, 4, value); }
    void write_command(uint32_t value) { function_.config_write(kCommand, 2, value); }
    void place_bar(unsigned bar, uint64_t address) { function_.set_bar_address(bar, address); }

    FakeBarMapper mapper_;
    RecordingIrq irq_;
    RecordingMsi msi_;
    TestFunction function_{PciWiring{mapper_, irq_.line()}, msi_};
};

TEST_F(PciFunctionTest, ShowsItsIdentity) {
    EXPECT_EQ(read32(0x00), 0x56781234U);
    EXPECT_EQ(read32(0x08), 0x0c033007U);
    EXPECT_EQ(read32(0x2c), 0x22221111U);
    EXPECT_EQ(function_.config_read(0x3d, 1), 1U);
    EXPECT_EQ(function_.config_read(0x0e, 1), 0U);
    function_.set_multifunction();
    EXPECT_EQ(function_.config_read(0x0e, 1), 0x80U);
}

TEST_F(PciFunctionTest, KeepsReadOnlyBits) {
    for (uint16_t offset = 0; offset < pci::kConfigSize; offset += 4)
        write32(offset, 0);
    EXPECT_EQ(read32(0x00), 0x56781234U);
    for (uint16_t offset = 0; offset < pci::kConfigSize; offset += 4)
        write32(offset, ~0U);
    EXPECT_EQ(read32(0x00), 0x56781234U);
    EXPECT_EQ(function_.config_read(kCommand, 2), 0x0547U);
    EXPECT_EQ(function_.config_read(0x06, 2),
              0x0010U);  // no error bits to clear, only the list of capabilities
    EXPECT_EQ(function_.config_read(0x3c, 1), 0xffU);
    EXPECT_EQ(read32(0x30), 0U) << "no expansion ROM";
}

TEST_F(PciFunctionTest, ExtendedSpaceIsEmpty) {
    write32(0x100, ~0U);
    EXPECT_EQ(read32(0x100), 0U);
    EXPECT_EQ(function_.config_read(0xfff, 1), 0U);
}

TEST_F(PciFunctionTest, AccessesOfEachWidthAgree) {
    write32(0x0c, 0x000000a5);
    EXPECT_EQ(function_.config_read(0x0c, 1), 0xa5U);
    function_.config_write(0x3c, 1, 0x0b);
    EXPECT_EQ(read32(0x3c), 0x0000010bU);
    EXPECT_EQ(function_.config_read(0x3c, 2), 0x010bU);
}

// PCI 3.0, 6.2.5.1: write all ones, read back the size.
TEST_F(PciFunctionTest, BarsShowTheirSize) {
    for (uint16_t bar = 0; bar < 6; ++bar)
        write32(static_cast<uint16_t>(kBar0 + 4 * bar), ~0U);
    EXPECT_EQ(read32(kBar0), 0xffff0004U);
    EXPECT_EQ(read32(kBar0 + 4), 0xffffffffU);
    EXPECT_EQ(read32(kBar0 + 8), 0xfffff000U);
    EXPECT_EQ(read32(kBar0 + 12), 0xffffffe1U);
    EXPECT_EQ(read32(kBar0 + 16), 0xfffff004U) << "the MSI-X table";
    EXPECT_EQ(read32(kBar0 + 20), 0xffffffffU);
}

TEST_F(PciFunctionTest, DecodesOnlyWhileEnabled) {
    place_bar(0, 0xc000'0000);
    place_bar(3, 0xc000);
    EXPECT_EQ(mapper_.count(), 0U);

    write_command(kMemory);
    ASSERT_NE(mapper_.find(function_, 0), nullptr);
    EXPECT_EQ(mapper_.find(function_, 0)->start, 0xc000'0000U);
    EXPECT_EQ(mapper_.read(0xc000'0010, 4), 0x10U);
    EXPECT_EQ(mapper_.find(function_, 2), nullptr) << "a BAR at 0 is not placed";
    EXPECT_EQ(mapper_.find(function_, 3), nullptr);

    write_command(kIo);
    EXPECT_EQ(mapper_.find(function_, 0), nullptr);
    ASSERT_NE(mapper_.find(function_, 3), nullptr);
    EXPECT_EQ(mapper_.find(function_, 3)->size, 0x20U);
}

TEST_F(PciFunctionTest, MovesBars) {
    place_bar(0, 0xc000'0000);
    write_command(kMemory);
    place_bar(0, 0x12'3456'0000);
    EXPECT_EQ(mapper_.find(function_, 0)->start, 0x12'3456'0000U);
    EXPECT_EQ(mapper_.read(0xc000'0000, 4), 0xffffffffU);
    const unsigned maps = mapper_.maps();
    place_bar(0, 0x12'3456'0000);
    EXPECT_EQ(mapper_.maps(), maps) << "nothing has changed";
}

TEST_F(PciFunctionTest, SizingWhileDecodingMapsNothingImpossible) {
    write_command(kMemory | kIo);
    for (uint16_t bar = 0; bar < 6; ++bar)
        write32(static_cast<uint16_t>(kBar0 + 4 * bar), ~0U);
    EXPECT_EQ(mapper_.find(function_, 0), nullptr);
    EXPECT_EQ(mapper_.find(function_, 3), nullptr);
    EXPECT_EQ(mapper_.find(function_, 4), nullptr);
}

TEST_F(PciFunctionTest, BarsOfOneFunctionMayChangePlaces) {
    place_bar(2, 0xc000'0000);
    place_bar(4, 0xc000'0000);
    write_command(kMemory);
    EXPECT_NE(mapper_.find(function_, 2), nullptr);
    EXPECT_EQ(mapper_.find(function_, 4), nullptr);
    EXPECT_TRUE(function_.has_blocked_bars());

    place_bar(2, 0xd000'0000);
    EXPECT_EQ(mapper_.find(function_, 4)->start, 0xc000'0000U);
    EXPECT_FALSE(function_.has_blocked_bars());
}

TEST_F(PciFunctionTest, CapabilitiesFormAList) {
    std::set<uint32_t> ids;
    for (uint32_t at = function_.config_read(0x34, 1); at != 0;) {
        ids.insert(function_.config_read(static_cast<uint16_t>(at), 1));
        at = function_.config_read(static_cast<uint16_t>(at + 1), 1);
    }
    EXPECT_EQ(ids, (std::set<uint32_t>{pci::kCapabilityVendor, pci::kCapabilityMsix}));

    const uint16_t at = function_.vendor_capability;
    write32(static_cast<uint16_t>(at + 4), 0xaaaaaaaa);
    EXPECT_EQ(read32(static_cast<uint16_t>(at + 4)), 0x605aaa30U) << "only writable bits change";
}

TEST_F(PciFunctionTest, IntxFollowsTheCommandRegisterAndMsix) {
    function_.interrupt(true);
    EXPECT_TRUE(irq_.level());
    EXPECT_EQ(function_.config_read(0x06, 2) & 8, 8U);

    write_command(kInterruptDisable);
    EXPECT_FALSE(irq_.level());
    EXPECT_EQ(function_.config_read(0x06, 2) & 8, 8U)
        << "the status bit shows the request all the same";

    write_command(0);
    EXPECT_TRUE(irq_.level());
    const auto msix = static_cast<uint16_t>(
        function_.config_read(static_cast<uint16_t>(function_.vendor_capability + 1), 1));
    function_.config_write(static_cast<uint16_t>(msix + 2), 2, 0x8000);
    EXPECT_FALSE(irq_.level());
    function_.config_write(static_cast<uint16_t>(msix + 2), 2, 0);
    EXPECT_TRUE(irq_.level());
    function_.interrupt(false);
    EXPECT_FALSE(irq_.level());
}

TEST_F(PciFunctionTest, MessagesNeedBusMastering) {
    const auto msix = static_cast<uint16_t>(
        function_.config_read(static_cast<uint16_t>(function_.vendor_capability + 1), 1));
    function_.config_write(static_cast<uint16_t>(msix + 2), 2, 0x8000);
    ASSERT_EQ(function_.msix().mmio_write(12, 4, 0), IoStatus::ok);  // unmask vector 0
    function_.msix().signal(0);
    EXPECT_EQ(msi_.count(), 0U);
    write_command(kBusMaster);
    EXPECT_EQ(msi_.count(), 1U);
}

TEST_F(PciFunctionTest, ResetUnmaps) {
    place_bar(0, 0xc000'0000);
    write_command(kMemory);
    function_.interrupt(true);
    function_.reset();
    EXPECT_EQ(mapper_.count(), 0U);
    EXPECT_FALSE(irq_.level());
    EXPECT_EQ(read32(kBar0), 4U);
}

TEST_F(PciFunctionTest, RestoreMapsAgain) {
    place_bar(0, 0xc000'0000);
    write_command(kMemory);
    const auto bytes = saved_bytes(function_);
    function_.reset();
    StateReader reader(bytes);
    ASSERT_TRUE(function_.restore(reader));
    EXPECT_EQ(mapper_.find(function_, 0)->start, 0xc000'0000U);
}

TEST_F(PciFunctionTest, RefusesTheStateOfAnotherDevice) {
    auto bytes = saved_bytes(function_);
    // The first byte of the vendor: after the section's header, the field's header and the array's
    // length.
    const size_t vendor = 1 + std::string_view("pci-function").size() + 8 + 6 + 4;
    ASSERT_EQ(bytes[vendor], std::byte{0x34});
    bytes[vendor] = std::byte{0x35};
    StateReader reader(bytes);
    EXPECT_FALSE(function_.restore(reader));
}

TEST(PciFunctionState, HasTheProperties) {
    FakeBarMapper mapper;
    RecordingMsi msi;
    check_saved_state([&] { return std::make_unique<TestFunction>(PciWiring{mapper}, msi); },
                      [](TestFunction& function) {
                          function.config_write(0x3c, 1, 11);
                          function.config_write(kCommand, 2, kBusMaster);
                          (void)function.msix().mmio_write(0, 8, 0xfee00000);
                      });
}

}  // namespace
}  // namespace banyan
