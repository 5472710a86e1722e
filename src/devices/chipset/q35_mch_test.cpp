#include "devices/chipset/q35_mch.hpp"

#include <gtest/gtest.h>
#include <memory>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

class RecordingSpace final : public Q35Mch::Space {
public:
    void map_ecam(std::optional<Gpa> base) override { ecam = base; }
    void set_shadow(const Q35Mch::Shadow& now) override { shadow = now; }

    std::optional<Gpa> ecam;
    Q35Mch::Shadow shadow;
};

class Q35MchTest : public ::testing::Test {
protected:
    FakeBarMapper mapper;
    RecordingSpace space;
    Q35Mch mch{{{mapper}, space}};
};

TEST_F(Q35MchTest, EachNibbleOfPamRulesAPart) {
    mch.config_write(0x90, 1, 0xFF);
    EXPECT_EQ(mch.config_read(0x90, 1), 0x30U) << "the low half is reserved";
    EXPECT_EQ(space.shadow[12], (ShadowAccess{true, true})) << "F0000h";
    mch.config_write(0x91, 1, 0x21);
    EXPECT_EQ(space.shadow[0], (ShadowAccess{true, false})) << "C0000h";
    EXPECT_EQ(space.shadow[1], (ShadowAccess{false, true})) << "C4000h";
    mch.config_write(0x96, 1, 0x30);
    EXPECT_EQ(space.shadow[11], (ShadowAccess{true, true})) << "EC000h";
    EXPECT_EQ(space.shadow[10], ShadowAccess{});
}

TEST_F(Q35MchTest, ConfigurationSpaceIsAlignedToItsLength) {
    mch.config_write(0x60, 4, 0xB0000001);
    EXPECT_EQ(space.ecam, Gpa{0xB0000000});
    mch.config_write(0x60, 4, 0xB4000005);  // 64 MiB
    EXPECT_EQ(space.ecam, Gpa{0xB4000000});
    mch.config_write(0x60, 4, 0xB4000001);  // 256 MiB
    EXPECT_EQ(space.ecam, Gpa{0xB0000000});
    mch.config_write(0x60, 4, 0xB4000007);
    EXPECT_FALSE(space.ecam.has_value()) << "a reserved length";
    mch.config_write(0x64, 4, 0xFF);
    mch.config_write(0x60, 4, 0x00000001);
    EXPECT_EQ(space.ecam, Gpa{0xF00000000}) << "36 bits of address";
    mch.config_write(0x60, 4, 0);
    EXPECT_FALSE(space.ecam.has_value());
}

TEST_F(Q35MchTest, SmramStaysShutOnceItIsLocked) {
    mch.config_write(0x9D, 1, 0x4A);
    EXPECT_EQ(mch.config_read(0x9D, 1), 0x4AU);
    mch.config_write(0x9D, 1, 0x5A);
    EXPECT_EQ(mch.config_read(0x9D, 1), 0x1AU) << "locked and shut";
    mch.config_write(0x9D, 2, 0xFF4A);
    EXPECT_EQ(mch.config_read(0x9D, 2), 0x381AU);
    mch.reset();
    mch.config_write(0x9D, 1, 0x48);
    EXPECT_EQ(mch.config_read(0x9D, 1), 0x4AU) << "until reset";
}

TEST_F(Q35MchTest, RestoresWhatItRules) {
    mch.config_write(0x60, 4, 0xE0000001);
    mch.config_write(0x90, 1, 0x30);
    mch.config_write(0x9D, 1, 0x18);
    const auto state = saved_bytes(mch);
    RecordingSpace other_space;
    Q35Mch other({{mapper}, other_space});
    StateReader reader(state);
    ASSERT_TRUE(other.restore(reader));
    EXPECT_EQ(other_space.ecam, Gpa{0xE0000000});
    EXPECT_TRUE(other_space.shadow[12].write);
    other.config_write(0x9D, 1, 0x48);
    EXPECT_EQ(other.config_read(0x9D, 1), 0x1AU) << "the lock, too";
}

}  // namespace
}  // namespace banyan
