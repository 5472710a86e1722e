#include <gtest/gtest.h>

#include "machine/boards/board_testing.hpp"
#include "snapshot/device_state_test.hpp"
#include "vm/testing/fake_network.hpp"

namespace banyan {
namespace {

using testing::TestMachine;

struct MachineWithNets : TestMachine {
    explicit MachineWithNets(BoardKind kind) : TestMachine(kind) {
        config.nets = {{.backend = &networks[0], .mac = {2, 0, 0, 0, 0, 1}, .mtu = 9000},
                       {.backend = &networks[1], .mac = {2, 0, 0, 0, 0, 2}, .queue_pairs = 4}};
    }
    void add_e1000e() {
        config.nets.push_back(
            {.backend = &networks[2], .mac = {2, 0, 0, 0, 0, 3}, .model = NetModel::e1000e});
    }
    std::array<FakeNetwork, 3> networks;
};

class NetsOfKind : public ::testing::TestWithParam<BoardKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, NetsOfKind, ::testing::Values(BoardKind::pc, BoardKind::micro));

TEST_P(NetsOfKind, AreBehindTheDisks) {
    MachineWithNets machine(GetParam());
    ASSERT_TRUE(machine.build());
    std::vector<uint32_t> ids;
    for (unsigned device = 0; device < 32; ++device)
        ids.push_back(machine.config_read(device, 0));
    const auto disk = std::find(ids.begin(), ids.end(), 0x1042'1AF4U);
    ASSERT_NE(disk, ids.end());
    EXPECT_EQ(disk[1], 0x1041'1AF4U);
    EXPECT_EQ(disk[2], 0x1041'1AF4U);
    EXPECT_EQ(machine.board->net_statistics().size(), 2U);
    EXPECT_EQ(machine.board->net_statistics()[1]->sent_frames, 0U);
    EXPECT_EQ(machine.networks[0].starts, 0U) << "nobody uses it";
}

TEST_P(NetsOfKind, AreSavedAndRestored) {
    MachineWithNets machine(GetParam());
    ASSERT_TRUE(machine.build());
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    const auto state = saved_bytes(*machine.board);
    MachineWithNets other(GetParam());
    ASSERT_TRUE(other.build());
    StateReader reader(state);
    ASSERT_TRUE(other.board->restore(reader));
    EXPECT_EQ(saved_bytes(*other.board), state);
}

TEST(Nets, ThatSystemsKnowWithoutVirtio) {
    MachineWithNets machine(BoardKind::pc);
    machine.add_e1000e();
    ASSERT_TRUE(machine.build());
    ASSERT_TRUE(machine.board->prepare_direct_boot());
    std::vector<uint32_t> ids;
    for (unsigned device = 0; device < 32; ++device)
        ids.push_back(machine.config_read(device, 0));
    EXPECT_EQ(std::ranges::count(ids, 0x10D3'8086U), 1);
    EXPECT_EQ(machine.board->net_statistics().size(), 3U);
    const auto state = saved_bytes(*machine.board);
    StateReader reader(state);
    ASSERT_TRUE(machine.board->restore(reader));

    MachineWithNets small(BoardKind::micro);
    small.add_e1000e();
    EXPECT_FALSE(small.build());
}

}  // namespace
}  // namespace banyan
