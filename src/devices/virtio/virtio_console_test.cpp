#include "devices/virtio/virtio_console.hpp"

#include <gtest/gtest.h>

#include "devices/virtio/testing/guest_driver.hpp"
#include "snapshot/device_state_test.hpp"

namespace banyan {
namespace {

constexpr uint16_t kReceive = 0;
constexpr uint16_t kTransmit = 1;
constexpr uint64_t kFeatures = kModernRings | 1;  // with the terminal's size

class VirtioConsoleTest : public testing::Test {
protected:
    void SetUp() override {
        source_.connect(console_);
        start();
    }
    void start() {
        ASSERT_TRUE(guest_.negotiate(kFeatures));
        receive_.emplace(guest_.setup_queue(kReceive, 8));
        transmit_.emplace(guest_.setup_queue(kTransmit, 8));
        guest_.driver_ok();
    }
    void give_buffer(Gpa gpa, uint32_t length) {
        receive_->add({{gpa, length, true}});
        guest_.notify(kReceive);
    }
    bool needs_reset() { return (guest_.status() & virtio::kStatusNeedsReset) != 0; }

    VirtioBench bench_;
    RecordingChar out_;
    FakeCharSource source_;
    std::unique_ptr<VirtioConsole> made_ =
        std::make_unique<VirtioConsole>(VirtioConsoleWiring{bench_.ram.memory(), out_, &source_});
    VirtioConsole& console_ = *made_;
    VirtioPci pci_{std::move(made_), bench_.wiring()};
    GuestDriver guest_{bench_, pci_};
    std::optional<GuestQueue> receive_;
    std::optional<GuestQueue> transmit_;
};

TEST_F(VirtioConsoleTest, HasTwoQueuesAndNoPorts) {
    EXPECT_EQ(guest_.read(virtio::Common::num_queues, 2), 2U);
    EXPECT_EQ(guest_.offered_features() & ~(kOfferedByAll | virtio::kFeatureInOrder), 5U)
        << "size and emergency write";
}

TEST_F(VirtioConsoleTest, Transmits) {
    guest_.poke({0x1000}, "hello ");
    guest_.poke({0x2000}, "world");
    transmit_->add({{{0x1000}, 6}, {{0x2000}, 5}});
    guest_.notify(kTransmit);
    EXPECT_EQ(out_.text(), "hello world");
    EXPECT_EQ(transmit_->take_used()->length, 0U);
    EXPECT_TRUE(bench_.irq.level());
}

TEST_F(VirtioConsoleTest, TransmitsMoreThanOnePiece) {
    std::string text(10000, '\0');
    for (size_t i = 0; i < text.size(); ++i)
        text[i] = static_cast<char>('a' + i % 26);
    guest_.poke({0x1000}, text);
    transmit_->add({{{0x1000}, 10000}});
    guest_.notify(kTransmit);
    EXPECT_EQ(out_.text(), text);
}

TEST_F(VirtioConsoleTest, GivesBackEmptyBuffers) {
    transmit_->add({{{0x1000}, 4, true}});
    guest_.notify(kTransmit);
    EXPECT_EQ(transmit_->used_index(), 1U);
    EXPECT_EQ(out_.text(), "");
}

TEST_F(VirtioConsoleTest, WaitsForASlowOutside) {
    guest_.poke({0x1000}, "abcdefgh");
    out_.set_room(3);
    transmit_->add({{{0x1000}, 8}});
    guest_.notify(kTransmit);
    EXPECT_EQ(out_.text(), "abc");
    EXPECT_EQ(transmit_->used_index(), 0U);

    out_.set_room(RecordingChar::kUnlimited);
    console_.on_writable();
    EXPECT_EQ(out_.text(), "abcdefgh");
    EXPECT_EQ(transmit_->used_index(), 1U);
    EXPECT_TRUE(bench_.irq.level());
}

TEST_F(VirtioConsoleTest, AHugeBufferDoesNotHoldTheVcpu) {
    std::vector<GuestBuffer> buffers(60, GuestBuffer{{0}, 2U << 20, false});
    transmit_->add_indirect(buffers, {0x300000});
    guest_.notify(kTransmit);
    EXPECT_EQ(out_.calls(), 16U) << "twice the size of the queue";
    EXPECT_EQ(transmit_->used_index(), 0U);
    EXPECT_EQ(bench_.timers.armed(), 1U);
}

TEST_F(VirtioConsoleTest, Receives) {
    give_buffer({0x1000}, 16);
    give_buffer({0x2000}, 16);
    source_.send("input");
    EXPECT_EQ(guest_.peek({0x1000}, 6), std::string("input\0", 6));
    EXPECT_EQ(receive_->take_used()->length, 5U);
    EXPECT_TRUE(bench_.irq.level());
    EXPECT_EQ(console_.receive_room(), 16U) << "of the next buffer";
}

TEST_F(VirtioConsoleTest, InputWaitsForBuffers) {
    source_.send("abcdef");
    EXPECT_EQ(console_.receive_room(), 0U);
    give_buffer({0x1000}, 4);
    EXPECT_EQ(guest_.peek({0x1000}, 4), "abcd");
    EXPECT_EQ(source_.waiting(), 2U);
    EXPECT_TRUE(bench_.irq.level());
    give_buffer({0x1000}, 4);
    EXPECT_EQ(guest_.peek({0x1000}, 4), "efcd");
    EXPECT_EQ(source_.waiting(), 0U);
}

TEST_F(VirtioConsoleTest, FillsSeveralBuffersAtOnce) {
    source_.send("abcdef");
    for (uint64_t i = 0; i < 3; ++i)
        receive_->add({{{0x1000 + i * 0x100}, 2, true}});
    guest_.notify(kReceive);
    EXPECT_EQ(receive_->used_index(), 3U);
    EXPECT_EQ(guest_.peek({0x1200}, 2), "ef");
}

TEST_F(VirtioConsoleTest, AsksForANotificationWhenBuffersRunOut) {
    give_buffer({0x1000}, 4);
    source_.send("abcd");
    EXPECT_EQ(receive_->available_event(), 1U);
    give_buffer({0x2000}, 4);
    source_.send("efgh");
    EXPECT_EQ(guest_.peek({0x2000}, 4), "efgh");
    EXPECT_EQ(receive_->available_event(), 2U);
}

TEST_F(VirtioConsoleTest, GivesBackBuffersThatHoldNothing) {
    receive_->add({{{0x1000}, 4}});
    give_buffer({0x2000}, 4);
    source_.send("x");
    EXPECT_EQ(receive_->take_used()->length, 0U);
    EXPECT_EQ(receive_->take_used()->length, 1U);
}

TEST_F(VirtioConsoleTest, ABufferThatShrinksLosesInput) {
    give_buffer({0x1000}, 4);
    receive_->write_descriptor(0, {0x1000, 2, virtio::kDescWrite, 0});
    console_.on_receive(std::array<uint8_t, 4>{'a', 'b', 'c', 'd'});
    EXPECT_EQ(receive_->take_used()->length, 2U);
    EXPECT_EQ(guest_.peek({0x1000}, 4), std::string("ab\0\0", 4));
}

TEST_F(VirtioConsoleTest, ABufferThatBreaksNeedsReset) {
    give_buffer({0x1000}, 4);
    receive_->write_descriptor(0, {~uint64_t{0}, 4, virtio::kDescWrite, 0});
    console_.on_receive(std::array<uint8_t, 1>{'a'});
    EXPECT_TRUE(needs_reset());
    EXPECT_EQ(console_.receive_room(), 0U);
}

TEST_F(VirtioConsoleTest, TakesNoInputBeforeDriverOkOrAfterReset) {
    give_buffer({0x1000}, 4);
    guest_.reset();
    EXPECT_EQ(console_.receive_room(), 0U);
    console_.on_receive(std::array<uint8_t, 1>{'a'});
    console_.on_writable();
    EXPECT_EQ(receive_->used_index(), 0U);
    start();
    give_buffer({0x1000}, 4);
    source_.send("b");
    EXPECT_EQ(guest_.peek({0x1000}, 1), "b");
}

TEST_F(VirtioConsoleTest, TellsTheSizeOfTheTerminal) {
    const uint64_t generation = guest_.read(virtio::Common::config_generation, 1);
    console_.resize(80, 25);
    EXPECT_EQ(guest_.read_config(0, 2), 80U);
    EXPECT_EQ(guest_.read_config(0, 4), 80U | 25U << 16);
    EXPECT_EQ(guest_.read(virtio::Common::config_generation, 1), generation + 1);
    EXPECT_EQ(guest_.read_isr(), virtio::kIsrConfig);
    console_.resize(80, 25);
    EXPECT_EQ(guest_.read_isr(), 0) << "nothing has changed";
}

// 5.3.5: works from the first moment.
TEST_F(VirtioConsoleTest, TakesEmergencyWrites) {
    guest_.reset();
    guest_.write_config(8, 4, '!');
    guest_.write_config(0, 4, 'x');
    guest_.write_config(12, 4, 'x');
    EXPECT_EQ(out_.text(), "!");
    EXPECT_EQ(guest_.read_config(0, 4), 0U) << "the size is not the driver's to set";
}

TEST_F(VirtioConsoleTest, GoesOnInTheMiddleOfABuffer) {
    guest_.poke({0x1000}, "abcdefgh");
    out_.set_room(3);
    transmit_->add({{{0x1000}, 8}});
    guest_.notify(kTransmit);
    const auto bytes = saved_bytes(pci_);
    pci_.reset();
    out_.clear();
    out_.set_room(RecordingChar::kUnlimited);
    StateReader reader(bytes);
    ASSERT_TRUE(pci_.restore(reader));
    give_buffer({0x2000}, 4);
    bench_.timers.advance(1'000'000);
    EXPECT_EQ(out_.text(), "defgh");
    EXPECT_EQ(transmit_->used_index(), 1U);
    source_.send("in");
    EXPECT_EQ(guest_.peek({0x2000}, 2), "in");
}

TEST(VirtioConsoleState, HasTheProperties) {
    VirtioBench bench;
    RecordingChar out;
    check_saved_state(
        [&] {
            auto console =
                std::make_unique<VirtioConsole>(VirtioConsoleWiring{bench.ram.memory(), out});
            return std::make_unique<VirtioPci>(std::move(console), bench.wiring());
        },
        [&](VirtioPci& pci) {
            GuestDriver driver(bench, pci);
            ASSERT_TRUE(driver.negotiate(kFeatures));
            GuestQueue transmit = driver.setup_queue(kTransmit, 8);
            driver.driver_ok();
            out.set_room(3);
            transmit.add({{{0x1000}, 8}});
            driver.notify(kTransmit);
            pci.config_write(4, 2, 4);  // the copies are made beside it: only one may be on the bus
        });
}

}  // namespace
}  // namespace banyan
