#include "devices/net/e1000e.hpp"

#include <gtest/gtest.h>

#include "devices/net/testing/e1000e_guest.hpp"
#include "snapshot/device_state_test.hpp"
#include "support/be.hpp"

namespace banyan {
namespace {

using namespace e1000e;
using namespace std::string_literals;

using Guest = E1000eGuest;

const std::string kOurs = "\x52\x54\x00\x12\x34\x56"s;
const std::string kOther = "\x52\x54\x00\x12\x34\x57"s;
const std::string kAll = "\xff\xff\xff\xff\xff\xff"s;

// To `destination`, of `size` bytes.
std::string frame(const std::string& destination, size_t size = 60,
                  const std::string& type = "\x08\x00"s) {
    std::string bytes = destination + kOther + type;
    for (size_t i = bytes.size(); i < size; ++i)
        bytes += static_cast<char>(i);
    return bytes;
}

struct CardTest : testing::Test {
    E1000eBench bench;
    Guest guest{bench};

    uint8_t status_of(uint32_t index) {
        return guest.get<LegacyReceive>(Guest::kReceiveRing + 16 * index).status;
    }
    std::string received(uint32_t index) {
        const auto descriptor = guest.get<LegacyReceive>(Guest::kReceiveRing + 16 * index);
        return guest.text(Guest::kBuffers + 2048 * index, descriptor.length);
    }
    uint16_t nvm_word(uint32_t index) {
        guest.write(EERD, index << 2 | 1);
        EXPECT_NE(guest.read(EERD) & 2, 0U);
        return static_cast<uint16_t>(guest.read(EERD) >> 16);
    }
    uint16_t phy(uint32_t index) {
        guest.write(MDIC, 2U << 26 | 1U << 21 | index << 16);
        EXPECT_NE(guest.read(MDIC) & 1U << 28, 0U);
        return static_cast<uint16_t>(guest.read(MDIC));
    }
};

TEST_F(CardTest, IsTheCardThatDriversKnow) {
    EXPECT_EQ(guest.card.config_read(0, 4), 0x10D3'8086U);
    EXPECT_EQ(guest.read(RAL), 0x1200'5452U);
    EXPECT_EQ(guest.read(RAH), 0x8000'5634U);
    unsigned sum = 0;
    for (uint32_t i = 0; i < 64; ++i)
        sum += nvm_word(i);
    EXPECT_EQ(sum & 0xFFFF, 0xBABAU);
    EXPECT_EQ(nvm_word(64), 0xFFFF);
    EXPECT_EQ(phy(2), 0x0141);
    EXPECT_EQ(phy(3), 0x0CB1);
}

TEST_F(CardTest, SaysWhetherThereIsALink) {
    EXPECT_EQ(guest.read(STATUS) & 3, 3U);
    EXPECT_EQ(phy(1) & 0x24, 0x24);
    bench.network.up = false;
    EXPECT_EQ(guest.read(STATUS) & 3, 1U);
    EXPECT_EQ(phy(1) & 0x24, 0);
    guest.write(IMS, LINK_CHANGED);
    guest.card.on_link_changed(false);
    EXPECT_TRUE(bench.irq.level());
    EXPECT_EQ(guest.read(ICR) & 0xFFFF, uint32_t{LINK_CHANGED});
    EXPECT_FALSE(bench.irq.level());
}

TEST_F(CardTest, NoOtherTransceiverAnswers) {
    guest.write(MDIC, 2U << 26 | 2U << 21 | 1U << 16);
    EXPECT_NE(guest.read(MDIC) & 1U << 30, 0U);
}

TEST_F(CardTest, TheNetworkStartsWithTheDriver) {
    EXPECT_EQ(bench.network.starts, 0U);
    guest.enable();
    EXPECT_EQ(bench.network.starts, 1U);
    guest.card.reset();
    EXPECT_FALSE(bench.network.running());
}

TEST_F(CardTest, ANetworkThatCannotStartIsACableThatIsNotPluggedIn) {
    bench.network.can_start = false;
    guest.enable();
    EXPECT_EQ(guest.read(STATUS) & 2, 0U);
    guest.write(TCTL, 2);
    EXPECT_EQ(bench.network.starts, 1U);
}

TEST_F(CardTest, ReceivesWhatIsForIt) {
    guest.enable();
    guest.write(IMS, RECEIVED);
    const std::string mine = frame(kOurs, 100);
    EXPECT_EQ(bench.network.deliver({frame(kOther), mine, frame(kAll)}), 3U);
    EXPECT_EQ(received(0), mine);
    EXPECT_EQ(received(1), frame(kAll));
    EXPECT_EQ(status_of(0), RX_DONE | RX_END_OF_PACKET | RX_IGNORE_CHECKSUM);
    EXPECT_EQ(status_of(2), 0);
    EXPECT_EQ(guest.read(RDH), 2U);
    EXPECT_TRUE(bench.irq.level());
    EXPECT_EQ(bench.irq.rises(), 1U);
    EXPECT_EQ(guest.read(GPRC), 2U);
    EXPECT_EQ(guest.read(GPRC), 0U) << "cleared by reading";
    EXPECT_EQ(guest.read(BPRC), 1U);
    EXPECT_EQ(guest.read(GORCL), 100U + 60U + 8U);
    EXPECT_EQ(guest.card.statistics().received_for_others, 1U);
    EXPECT_EQ(guest.card.statistics().received_bytes, 160U);
}

TEST_F(CardTest, ShortFramesArePaddedAndHaveACheckSequence) {
    guest.enable(Guest::kEnable);
    bench.network.deliver({frame(kOurs, 42)});
    EXPECT_EQ(received(0).size(), 64U);
    // The remainder over a frame with its check sequence is always the same (IEEE 802.3).
    const std::string bytes = received(0);
    EXPECT_EQ(ethernet_crc(std::as_bytes(std::span(bytes))), 0x2144'DF1CU);
}

TEST_F(CardTest, FiltersByHashAndPromiscuity) {
    const std::string group = "\x01\x00\x5e\x00\x00\xfb"s;
    guest.enable();
    bench.network.deliver({frame(group)});
    EXPECT_EQ(guest.read(RDH), 0U);
    const uint32_t hash = 0xFB00U >> 4 & 0xFFF;
    guest.write(MTA + hash / 32 * 4, 1U << hash % 32);
    bench.network.deliver({frame(group)});
    EXPECT_EQ(guest.read(RDH), 1U);
    guest.write(RCTL, Guest::kEnable | 1 << 3);
    bench.network.deliver({frame(kOther), frame(kAll)});
    EXPECT_EQ(guest.read(RDH), 2U) << "broadcasts are not asked for";
}

TEST_F(CardTest, FramesWaitForDescriptors) {
    guest.enable();
    const std::vector<std::string> many(10, frame(kOurs));
    EXPECT_EQ(bench.network.deliver(many), 7U);
    EXPECT_EQ(guest.read(RNBC), 1U);
    const unsigned calls = bench.network.room_calls;
    guest.write(RDT, 2);
    EXPECT_EQ(bench.network.room_calls, calls + 1);
    EXPECT_EQ(bench.network.deliver(many), 3U);
}

TEST_F(CardTest, LongFramesTakeSeveralDescriptors) {
    guest.enable();
    EXPECT_EQ(bench.network.deliver({frame(kOurs, 5000)}), 1U);
    EXPECT_EQ(guest.read(RDH), 0U);
    EXPECT_EQ(guest.read(ROC), 1U) << "without LPE";
    guest.write(RCTL, Guest::kEnable | Guest::kStripCrc | 1 << 5);
    bench.network.deliver({frame(kOurs, 5000)});
    EXPECT_EQ(guest.read(RDH), 3U);
    EXPECT_EQ(status_of(0) & RX_END_OF_PACKET, 0);
    EXPECT_NE(status_of(2) & RX_END_OF_PACKET, 0);
    EXPECT_TRUE(received(0) + received(1) + received(2) == frame(kOurs, 5000));
}

TEST_F(CardTest, WritesExtendedDescriptors) {
    guest.write(RFCTL, kExtendedDescriptors);
    guest.enable();
    bench.network.deliver({frame(kOurs, 99)}, {.checksum_valid = true});
    const auto written = guest.get<ExtendedReceive>(Guest::kReceiveRing);
    EXPECT_EQ(written.length, 99);
    EXPECT_EQ(written.status & 0xFF, 0x73U);
}

TEST_F(CardTest, SplitsPackets) {
    guest.write(RFCTL, kExtendedDescriptors);
    guest.write(PSRCTL, 1U | 1U << 8 | 1U << 16);  // 128 bytes, 1 KiB, 1 KiB
    guest.enable();
    for (unsigned i = 0; i < 4; ++i)
        guest.put(Guest::kReceiveRing + 8 * i, le64{Guest::kBuffers + 4096 * i});
    guest.write(RCTL, Guest::kEnable | Guest::kStripCrc | 1 << 10);
    guest.write(RDT, 3);  // twice as large, the ring holds half as many
    bench.network.deliver({frame(kOurs, 1300)});
    EXPECT_EQ(guest.get<ExtendedReceive>(Guest::kReceiveRing).length, 128);
    const auto split = guest.get<SplitReceive>(Guest::kReceiveRing + 16);
    EXPECT_EQ(split.lengths[0], 1024);
    EXPECT_EQ(split.lengths[1], 148);
    const std::string bytes = guest.text(Guest::kBuffers, 128) +
                              guest.text(Guest::kBuffers + 4096, 1024) +
                              guest.text(Guest::kBuffers + 8192, 148);
    EXPECT_TRUE(bytes == frame(kOurs, 1300));
}

TEST_F(CardTest, TagsComeAndGo) {
    guest.write(VET, 0x8100);
    guest.write(CTRL, guest.read(CTRL) | Ctrl::kVlanMode);
    guest.enable();
    const std::string plain = frame(kOurs, 80);
    const std::string tagged = plain.substr(0, 12) + "\x81\x00\x20\x05"s + plain.substr(12);
    bench.network.deliver({tagged});
    EXPECT_EQ(received(0), plain);
    EXPECT_EQ(guest.get<LegacyReceive>(Guest::kReceiveRing).vlan, 0x2005);
    EXPECT_NE(status_of(0) & RX_VLAN, 0);
    guest.write(RCTL, Guest::kEnable | 1 << 18);
    bench.network.deliver({tagged});
    EXPECT_EQ(guest.read(RDH), 1U) << "VLAN 5 is not wanted";
    guest.write(VFTA, 1 << 5);
    bench.network.deliver({tagged});
    EXPECT_EQ(guest.read(RDH), 2U);

    (void)bench.ram.memory().write(Gpa{Guest::kFrames}, std::as_bytes(std::span(plain)));
    guest.put_transmit({Guest::kFrames, 80U | 0x4900'0000U, 0x2005'0000U});
    guest.ring_bell();
    ASSERT_EQ(bench.network.sent.size(), 1U);
    EXPECT_EQ(bench.network.sent[0].bytes, tagged);
}

TEST_F(CardTest, Sends) {
    guest.enable();
    guest.write(IMS, TRANSMITTED);
    guest.send(frame(kOther, 77));
    ASSERT_EQ(bench.network.sent.size(), 1U);
    EXPECT_EQ(bench.network.sent[0].bytes, frame(kOther, 77));
    EXPECT_EQ(guest.get<TransmitDescriptor>(Guest::kTransmitRing).high & 1, 1U);
    EXPECT_EQ(guest.read(TDH), 1U);
    EXPECT_TRUE(bench.irq.level());
    EXPECT_EQ(guest.read(GPTC), 1U);
    guest.send(frame(kOther, 20));
    EXPECT_EQ(bench.network.sent[1].bytes.size(), 60U) << "padded";
}

TEST_F(CardTest, SendsWhatLiesInPieces) {
    guest.enable();
    const std::string bytes = frame(kOther, 90);
    (void)bench.ram.memory().write(Gpa{Guest::kFrames}, std::as_bytes(std::span(bytes)));
    guest.put_transmit({Guest::kFrames, 50U, uint32_t{0}});
    guest.ring_bell();
    EXPECT_TRUE(bench.network.sent.empty());
    EXPECT_EQ(guest.read(TDH), 0U);
    guest.put_transmit({Guest::kFrames + 50, 40U | 0x0100'0000U, uint32_t{0}});
    guest.ring_bell();
    ASSERT_EQ(bench.network.sent.size(), 1U);
    EXPECT_EQ(bench.network.sent[0].bytes, bytes);
    EXPECT_EQ(guest.read(TDH), 2U);
}

TEST_F(CardTest, AFrameWithoutAnEndIsGivenBack) {
    guest.enable();
    guest.write(TDLEN, 16 * 4096);
    guest.write(TDT, 4000);
    EXPECT_EQ(guest.read(TDH), 3 * 1024U) << "three times; the rest may still get an end";
    EXPECT_EQ(guest.card.statistics().sent_malformed, 3U);
    EXPECT_TRUE(bench.network.sent.empty());
}

TEST_F(CardTest, FramesWaitForTheNetwork) {
    guest.enable();
    bench.network.room = 0;
    guest.send(frame(kOther));
    EXPECT_EQ(guest.read(TDH), 0U);
    bench.network.room = 1;
    guest.card.on_send_room();
    EXPECT_EQ(guest.read(TDH), 1U);
    EXPECT_EQ(bench.network.sent.size(), 1U);
}

// An IPv4 packet with TCP in it, of `payload` bytes.
std::string tcp_frame(size_t payload) {
    std::string bytes = frame(kOther, 14);
    bytes += "\x45\x00\x00\x00\x12\x34\x40\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02"s;
    bytes += "\x10\x00\x00\x50\x00\x00\x10\x00\x00\x00\x00\x00\x50\x19\x10\x00\x00\x00\x00\x00"s;
    const uint16_t length = static_cast<uint16_t>(40 + payload);
    bytes[16] = static_cast<char>(length >> 8);
    bytes[17] = static_cast<char>(length);
    bytes += std::string(payload, 'x');
    return bytes;
}

uint16_t sum_of(const std::string& bytes, size_t from, size_t to) {
    return internet_sum(std::as_bytes(std::span(bytes)).subspan(from, to - from));
}

// Of the TCP segment of an IPv4 packet, with the pseudo header; right if it is all ones.
uint16_t tcp_sum(const std::string& bytes) {
    const std::string pseudo = bytes.substr(26, 8) + "\x00\x06"s;
    const uint32_t length = static_cast<uint32_t>(bytes.size() - 34);
    uint32_t sum = sum_of(bytes, 34, bytes.size()) + sum_of(pseudo, 0, pseudo.size()) + length;
    while (sum >> 16 != 0)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<uint16_t>(sum);
}

uint16_t be16_at(const std::string& bytes, size_t at) {
    return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 |
                                 static_cast<uint8_t>(bytes[at + 1]));
}

struct OffloadTest : CardTest {
    void send_with_context(std::string bytes, uint32_t command, uint16_t segment) {
        // The pseudo header's sum, without the length if it is to be segmented.
        const std::string pseudo = bytes.substr(26, 8) + "\x00\x06"s;
        uint32_t seed = sum_of(pseudo, 0, pseudo.size());
        if (segment == 0) seed += static_cast<uint32_t>(bytes.size() - 34);
        seed = (seed & 0xFFFF) + (seed >> 16);
        bytes[50] = static_cast<char>(seed >> 8);
        bytes[51] = static_cast<char>(seed);
        guest.enable();
        (void)bench.ram.memory().write(Gpa{Guest::kFrames}, std::as_bytes(std::span(bytes)));
        // IP header 14..33 with its sum at 24, TCP from 34 with its at 50.
        guest.put_transmit({14U | 24U << 8 | 33ULL << 16 | 34ULL << 32 | 50ULL << 40,
                            0x2300'0000U | static_cast<uint32_t>(bytes.size() - 54),
                            54U << 8 | uint32_t{segment} << 16});
        guest.put_transmit(
            {Guest::kFrames, static_cast<uint32_t>(bytes.size()) | 0x2910'0000U | command, 0x300U});
        guest.ring_bell();
    }
};

TEST_F(OffloadTest, PutsChecksumsIn) {
    send_with_context(tcp_frame(333), 0, 0);
    ASSERT_EQ(bench.network.sent.size(), 1U);
    const std::string& sent = bench.network.sent[0].bytes;
    EXPECT_EQ(sum_of(sent, 14, 34), 0xFFFF);
    EXPECT_EQ(tcp_sum(sent), 0xFFFF);
}

TEST_F(OffloadTest, Segments) {
    send_with_context(tcp_frame(2500), 1U << 26, 1000);
    ASSERT_EQ(bench.network.sent.size(), 3U);
    for (unsigned i = 0; i < 3; ++i) {
        const std::string& sent = bench.network.sent[i].bytes;
        EXPECT_EQ(sent.size(), 54U + (i < 2 ? 1000 : 500));
        EXPECT_EQ(be16_at(sent, 16), sent.size() - 14);
        EXPECT_EQ(be16_at(sent, 18), 0x1234 + i);
        EXPECT_EQ(be16_at(sent, 40), 0x1000 + 1000 * i) << "sequence";
        EXPECT_EQ(sent[47], i < 2 ? 0x10 : 0x19) << "FIN and PSH are the last one's";
        EXPECT_EQ(sum_of(sent, 14, 34), 0xFFFF);
        EXPECT_EQ(tcp_sum(sent), 0xFFFF);
    }
}

TEST_F(OffloadTest, SegmentsGoOnWhereTheNetworkWasFull) {
    bench.network.room = 1;
    send_with_context(tcp_frame(2500), 1U << 26, 1000);
    EXPECT_EQ(bench.network.sent.size(), 1U);
    EXPECT_EQ(guest.read(TDH), 0U);
    bench.network.room = 9;
    guest.card.on_send_room();
    ASSERT_EQ(bench.network.sent.size(), 3U);
    EXPECT_EQ(be16_at(bench.network.sent[1].bytes, 40), 0x1000 + 1000);
    EXPECT_EQ(guest.read(TDH), 2U);
}

TEST_F(OffloadTest, WhatCannotBeIsDroppedAndGivenBack) {
    guest.enable();
    guest.put_transmit({0U, 0x2300'0000U, 255U << 8});  // no segment size, headers of 255 bytes
    guest.put_transmit({Guest::kFrames, 100U | 0x2D10'0000U, 0x300U});
    guest.put_transmit({0xFFFF'FFFF'0000, 100U | 0x2910'0000U, uint32_t{0}});  // no memory
    guest.ring_bell();
    EXPECT_TRUE(bench.network.sent.empty());
    EXPECT_EQ(guest.read(TDH), 3U);
    EXPECT_EQ(guest.card.statistics().sent_malformed, 2U);
}

TEST_F(CardTest, MessagesAreOneForEachCause) {
    guest.enable();
    guest.card.config_write(0x60, 2, 0);
    // MSI-X on: control is two bytes behind the capability's start.
    uint16_t capability = static_cast<uint16_t>(guest.card.config_read(0x34, 1));
    while (guest.card.config_read(capability, 1) != 0x11)
        capability =
            static_cast<uint16_t>(guest.card.config_read(static_cast<uint16_t>(capability + 1), 1));
    guest.card.config_write(static_cast<uint16_t>(capability + 2), 2, 0x8000);
    for (unsigned i = 0; i < 5; ++i) {
        (void)bench.mapper.write(Guest::kMessages + 16 * i, 4, 0xFEE0'0000);
        (void)bench.mapper.write(Guest::kMessages + 16 * i + 8, 4, 0x40 + i);
        (void)bench.mapper.write(Guest::kMessages + 16 * i + 12, 4, 0);
    }
    guest.write(IVAR, 0x8008'0A08 | 0x9U << 16);  // receive 0, transmit 2, other 1
    guest.write(EIAC, RECEIVE_QUEUE_0 | TRANSMIT_QUEUE_0);
    guest.write(IMS, RECEIVE_QUEUE_0 | TRANSMIT_QUEUE_0 | OTHER);
    bench.network.deliver({frame(kOurs)});
    bench.network.deliver({frame(kOurs)});
    guest.send(frame(kOther));
    guest.card.on_link_changed(true);
    guest.card.on_link_changed(true);
    std::vector<uint32_t> data;
    for (const MsiMessage& message : bench.msi.messages())
        data.push_back(message.data);
    EXPECT_EQ(data, (std::vector<uint32_t>{0x40, 0x40, 0x42, 0x41})) << "OTHER waits to be read";
    EXPECT_FALSE(bench.irq.level());
    EXPECT_NE(guest.read(ICR) & LINK_CHANGED, 0U);
    guest.card.on_link_changed(true);
    EXPECT_EQ(bench.msi.count(), 5U);
}

TEST_F(CardTest, PortsReachTheSameRegisters) {
    guest.card.set_bar_address(2, 0xC000);
    guest.card.config_write(4, 2, 7);
    const auto* range = bench.mapper.find(guest.card, 2);
    ASSERT_NE(range, nullptr);
    uint32_t value = 0;
    EXPECT_EQ(range->port_handler->port_write(0, 4, RAL), IoStatus::ok);
    EXPECT_EQ(range->port_handler->port_read(4, 4, value), IoStatus::ok);
    EXPECT_EQ(value, 0x1200'5452U);
    EXPECT_EQ(range->port_handler->port_write(0, 4, 0x1FFFC), IoStatus::ok);
    EXPECT_EQ(range->port_handler->port_read(4, 4, value), IoStatus::ok);
    EXPECT_EQ(value, 0U);
}

TEST_F(CardTest, ResetsItself) {
    guest.enable();
    guest.write(IMS, RECEIVED);
    guest.write(RAL, 0);
    guest.write(CTRL, guest.read(CTRL) | Ctrl::kReset);
    EXPECT_EQ(guest.read(CTRL) & Ctrl::kReset, 0U);
    EXPECT_EQ(guest.read(RCTL), 0U);
    EXPECT_EQ(guest.read(IMS), 0U);
    EXPECT_EQ(guest.read(RAL), 0x1200'5452U);
    EXPECT_EQ(bench.network.deliver({frame(kOurs)}), 1U) << "and is lost";
}

TEST_F(CardTest, SavedStateGoesOn) {
    guest.enable();
    bench.network.deliver({frame(kOurs)});
    StateWriter writer;
    guest.card.save(writer);
    const auto state = writer.take();

    E1000e other(E1000eBench::kAddress, bench.wiring());
    guest.card.reset();
    StateReader reader(state);
    ASSERT_TRUE(other.restore(reader));
    EXPECT_TRUE(bench.network.running());
    EXPECT_EQ(bench.network.deliver({frame(kOurs, 90)}), 1U);
    EXPECT_EQ(received(1), frame(kOurs, 90));
}

TEST_F(CardTest, DamagedStatesAreRefused) {
    StateWriter writer;
    guest.card.save(writer);
    const auto good = writer.take();
    for (size_t size = 0; size < 64; ++size) {
        const std::vector<std::byte> part(good.begin(),
                                          good.begin() + static_cast<ptrdiff_t>(size));
        StateReader reader(part);
        EXPECT_FALSE(guest.card.restore(reader));
    }
}

}  // namespace
}  // namespace banyan
