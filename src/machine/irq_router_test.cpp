#include "machine/irq_router.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <utility>
#include <vector>

#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

class RecordingSink final : public IrqSink {
public:
    void set_irq(unsigned input, bool asserted) override { changes.emplace_back(input, asserted); }
    std::vector<std::pair<unsigned, bool>> changes;
};

using Changes = std::vector<std::pair<unsigned, bool>>;

TEST(IrqRouter, LeadsASourceToSeveralControllers) {
    RecordingSink pic;
    RecordingSink ioapic;
    IrqRouter router;
    const IrqLine timer =
        router.add_source({router.add_output({pic, 0}), router.add_output({ioapic, 2})});

    timer.pulse();

    EXPECT_EQ(pic.changes, (Changes{{0, true}, {0, false}}));
    EXPECT_EQ(ioapic.changes, (Changes{{2, true}, {2, false}}));
}

TEST(IrqRouter, KeepsASharedWireUpUntilTheLastLetsGo) {
    RecordingSink sink;
    IrqRouter router;
    const auto wire = router.add_output({sink, 16});
    const IrqLine first = router.add_source({wire});
    const IrqLine second = router.add_source({wire});

    first.assert_line();
    second.assert_line();
    first.deassert();
    EXPECT_EQ(sink.changes, (Changes{{16, true}}));
    second.deassert();
    EXPECT_EQ(sink.changes, (Changes{{16, true}, {16, false}}));
}

TEST(IrqRouter, IgnoresALevelThatDoesNotChange) {
    RecordingSink sink;
    IrqRouter router;
    const IrqLine line = router.add_source({router.add_output({sink, 4})});
    line.deassert();
    line.assert_line();
    line.assert_line();
    EXPECT_EQ(sink.changes, (Changes{{4, true}}));
}

TEST(IrqRouter, LetsGoOfAllWiresOnReset) {
    RecordingSink sink;
    IrqRouter router;
    const IrqLine line = router.add_source({router.add_output({sink, 4})});
    line.assert_line();
    router.reset();
    EXPECT_EQ(sink.changes, (Changes{{4, true}, {4, false}}));
}

// A router with three sources, two of them on one wire.
struct Board {
    Board() {
        const auto shared = router.add_output({sink, 10});
        lines = {router.add_source({shared}), router.add_source({shared}),
                 router.add_source({router.add_output({sink, 4})})};
    }
    std::string_view name() const { return router.name(); }
    void reset() { router.reset(); }
    void save(StateWriter& writer) const { router.save(writer); }
    Result<void> restore(StateReader& reader) { return router.restore(reader); }

    RecordingSink sink;
    IrqRouter router;
    std::vector<IrqLine> lines;
};

TEST(IrqRouter, SavesItsState) {
    check_saved_state([] { return std::make_unique<Board>(); },
                      [](Board& board) {
                          board.lines[0].assert_line();
                          board.lines[2].assert_line();
                      });
}

TEST(IrqRouter, GoesOnWhereItWasSaved) {
    Board before;
    before.lines[0].assert_line();
    const auto bytes = saved_bytes(before);

    Board after;
    StateReader reader(bytes);
    ASSERT_TRUE(after.restore(reader));
    EXPECT_TRUE(after.sink.changes.empty()) << "controllers restore their inputs themselves";
    after.lines[1].assert_line();
    after.lines[1].deassert();
    EXPECT_TRUE(after.sink.changes.empty()) << "the first source still holds the wire";
    after.lines[0].deassert();
    EXPECT_EQ(after.sink.changes, (Changes{{10, false}}));
}

TEST(IrqRouter, RefusesTheStateOfAnotherBoard) {
    Board board;
    const auto bytes = saved_bytes(board);
    IrqRouter other;
    StateReader reader(bytes);
    EXPECT_FALSE(other.restore(reader));
}

}  // namespace
}  // namespace banyan
