#include "devices/chipset/ich9_lpc.hpp"

#include <array>
#include <gtest/gtest.h>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

class RecordingBoard final : public Ich9Lpc::Board {
public:
    void map_power_management(std::optional<uint16_t> first_port) override { pm = first_port; }
    void route_pirq(unsigned pirq, std::optional<unsigned> irq) override { routes[pirq] = irq; }

    std::optional<uint16_t> pm;
    std::array<std::optional<unsigned>, Ich9Lpc::kPirqs> routes;
};

class Ich9LpcTest : public ::testing::Test {
protected:
    FakeBarMapper mapper;
    RecordingBoard board;
    Ich9Lpc lpc{{{mapper}, board}};
};

TEST_F(Ich9LpcTest, PowerManagementAnswersWhenItIsEnabled) {
    lpc.config_write(0x40, 4, 0xFFFF0600);
    EXPECT_EQ(lpc.config_read(0x40, 4), 0x0601U);
    EXPECT_FALSE(board.pm.has_value());
    lpc.config_write(0x44, 1, 0x87);
    EXPECT_EQ(lpc.config_read(0x44, 1), 0x80U) << "the SCI stays at IRQ 9";
    EXPECT_EQ(board.pm, 0x0600);
    lpc.reset();
    EXPECT_FALSE(board.pm.has_value());
}

TEST_F(Ich9LpcTest, RoutesWiresToInputsThatMayTakeThem) {
    lpc.config_write(0x60, 4, 0x080B0A0A);
    EXPECT_EQ(board.routes[0], 10U);
    EXPECT_EQ(board.routes[2], 11U);
    EXPECT_FALSE(board.routes[3].has_value()) << "IRQ 8 is the clock's";
    lpc.config_write(0x6B, 1, 0x0B);
    EXPECT_EQ(board.routes[7], 11U);
    lpc.config_write(0x6B, 1, 0x8B);
    EXPECT_FALSE(board.routes[7].has_value()) << "not routed";
    EXPECT_FALSE(board.routes[4].has_value()) << "as after power-on";
}

// OVMF gives the serial port to no bridge that does not decode.
TEST_F(Ich9LpcTest, IsAnIsaBridgeThatAlwaysDecodes) {
    EXPECT_EQ(lpc.config_read(8, 4) >> 8, 0x060100U);
    lpc.config_write(4, 2, 0);
    EXPECT_EQ(lpc.config_read(4, 2), 7U);
}

TEST_F(Ich9LpcTest, RestoresWhatItRules) {
    lpc.config_write(0x40, 4, 0xB00);
    lpc.config_write(0x44, 1, 0x80);
    lpc.config_write(0x68, 1, 5);
    const auto state = saved_bytes(lpc);
    RecordingBoard other_board;
    Ich9Lpc other({{mapper}, other_board});
    StateReader reader(state);
    ASSERT_TRUE(other.restore(reader));
    EXPECT_EQ(other_board.pm, 0xB00);
    EXPECT_EQ(other_board.routes[4], 5U);
}

}  // namespace
}  // namespace banyan
