#include "vmm/disk_room.hpp"

#include <gtest/gtest.h>

#include "host/linux/event_loop.hpp"

namespace banyan {
namespace {

class DiskRoomTest : public testing::Test {
protected:
    void SetUp() override {
        auto made_loop = EventLoop::create();
        ASSERT_TRUE(made_loop);
        loop = std::move(*made_loop);
        auto made = DiskRoom::create(
            *loop, {[this](const std::string& disk, const std::string&) { calls += "p " + disk; },
                    [this] { calls += 'r'; }});
        ASSERT_TRUE(made);
        room = std::move(*made);
        auto made_end = Notifier::create(*loop, [this] { loop->stop(); });
        ASSERT_TRUE(made_end);
        end = std::move(*made_end);
    }
    // What has been asked for before is done when this returns.
    std::string run() {
        end->notify();
        loop->run();
        return calls;
    }

    std::unique_ptr<EventLoop> loop;
    std::unique_ptr<DiskRoom> room;
    std::unique_ptr<Notifier> end;
    std::string calls;
};

TEST_F(DiskRoomTest, PausesUntilTheLastDiskHasRoom) {
    DiskRoomListener& first = room->listener("disk0");
    DiskRoomListener& second = room->listener("disk1");
    first.on_disk_full("the disk is full");
    EXPECT_EQ(run(), "p disk0");
    second.on_disk_full("another disk is full");
    first.on_disk_room();
    EXPECT_EQ(run(), "p disk0");
    second.on_disk_room();
    EXPECT_EQ(run(), "p disk0r");
}

TEST_F(DiskRoomTest, RoomThatComesAtOnceChangesNothing) {
    DiskRoomListener& disk = room->listener("disk0");
    disk.on_disk_full("the disk is full");
    disk.on_disk_room();
    EXPECT_EQ(run(), "");
}

}  // namespace
}  // namespace banyan
