#include "control/gdb/packet.hpp"

#include <gtest/gtest.h>
#include <vector>

#include "control/gdb/words.hpp"

namespace banyan::gdb {
namespace {

using Kind = PacketReader::Kind;

struct Taken {
    Kind kind;
    std::string payload;
    friend bool operator==(const Taken&, const Taken&) = default;
};

std::vector<Taken> take_all(PacketReader& reader, std::string_view bytes) {
    std::vector<Taken> all;
    for (const char byte : bytes) {
        if (const auto event = reader.take(byte))
            all.push_back({event->kind, std::string(event->payload)});
    }
    return all;
}

std::vector<Taken> take_all(std::string_view bytes) {
    PacketReader reader;
    return take_all(reader, bytes);
}

TEST(Packet, IsFramedWithItsChecksum) {
    EXPECT_EQ(frame("OK"), "$OK#9a");
    EXPECT_EQ(frame(""), "$#00");
}

TEST(Packet, WhatIsFramedIsRead) {
    EXPECT_EQ(take_all(frame("g") + "+-" + '\x03' + frame("m1000,4")),
              (std::vector<Taken>{{Kind::packet, "g"},
                                  {Kind::acknowledged, ""},
                                  {Kind::not_acknowledged, ""},
                                  {Kind::interrupt, ""},
                                  {Kind::packet, "m1000,4"}}));
}

TEST(Packet, ArrivesInPieces) {
    PacketReader reader;

    EXPECT_EQ(take_all(reader, "noise$O"), std::vector<Taken>{});
    EXPECT_EQ(take_all(reader, "K#9"), std::vector<Taken>{});
    EXPECT_EQ(take_all(reader, "a"), (std::vector<Taken>{{Kind::packet, "OK"}}));
}

TEST(Packet, ItsChecksumMustFit) {
    EXPECT_EQ(take_all("$OK#9b$OK#zz$OK#9A"),
              (std::vector<Taken>{{Kind::damaged, ""}, {Kind::damaged, ""}, {Kind::packet, "OK"}}));
}

TEST(Packet, AnotherBeginsWhereOneLostItsEnd) {
    EXPECT_EQ(take_all("$m10$OK#9a"), (std::vector<Taken>{{Kind::packet, "OK"}}));
}

TEST(Packet, ALongOneIsDamagedAndTheNextIsRead) {
    EXPECT_EQ(take_all(frame(std::string(kPacketSize, 'x'))).front().kind, Kind::packet);
    EXPECT_EQ(take_all(frame(std::string(kPacketSize + 1, 'x')) + frame("OK")),
              (std::vector<Taken>{{Kind::damaged, ""}, {Kind::packet, "OK"}}));
}

TEST(Packet, AnInterruptWithinOneIsData) {
    const std::string data = "X0,1:\x03";

    EXPECT_EQ(take_all(frame(data)), (std::vector<Taken>{{Kind::packet, data}}));
}

TEST(Packet, BinaryDataAreEscaped) {
    const std::string data = "a$b#c}d*e";

    EXPECT_EQ(escape(data),
              "a}\x04"
              "b}\x03"
              "c}]d}\ne");
    EXPECT_EQ(unescape(escape(data)), data);
    EXPECT_EQ(unescape("a}"), "a}");
}

TEST(Words, NumbersAreHexadecimalAndBounded) {
    Words words("1f,ffffffffffffffff;10000000000000000");

    EXPECT_EQ(words.number(), 0x1FU);
    EXPECT_TRUE(words.skip(","));
    EXPECT_EQ(words.number(), ~uint64_t{0});
    EXPECT_FALSE(words.number());
    EXPECT_FALSE(words.skip(","));
    EXPECT_TRUE(words.skip(";"));
    EXPECT_FALSE(words.number());
}

TEST(Words, AreTakenUpToAMark) {
    Words words("qRcmd,68;rest");

    EXPECT_EQ(words.until(','), "qRcmd");
    EXPECT_EQ(words.until(';'), "68");
    EXPECT_EQ(words.until(';'), "rest");
    EXPECT_TRUE(words.at_end());
    EXPECT_EQ(words.until(';'), "");
}

TEST(Words, HexadecimalTextIsOfWholeBytes) {
    EXPECT_EQ(to_hex("\x01\xFF"), "01ff");
    EXPECT_EQ(to_hex(*from_hex("01fF")), "01ff");
    EXPECT_FALSE(from_hex("01f"));
    EXPECT_FALSE(from_hex("0g"));
}

}  // namespace
}  // namespace banyan::gdb
