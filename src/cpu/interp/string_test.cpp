// String instructions of 16-bit code, compared with a model that does one element after the other.
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

// What both segments lie in.
constexpr uint64_t kMemory = 0x50000;
constexpr uint64_t kMemorySize = 0x30000;

enum class Kind : uint8_t { movs = 0xA4, cmps = 0xA6, stos = 0xAA, lods = 0xAC, scas = 0xAE };
enum class Repeat : uint8_t { none = 0, repne = 0xF2, rep = 0xF3 };

struct Case {
    Kind kind{};
    Repeat repeat{};
    unsigned size = 1;
    bool down = false;
    bool wide_address = false;
    uint32_t limit = 0xFFFF;  // of both segments
    uint64_t source_base = 0;
    uint64_t destination_base = 0;
};

struct State {
    uint64_t ax = 0, cx = 0, si = 0, di = 0;
    FlagWord arith = 0x200;
    bool faulted = false;
    std::vector<uint8_t> memory = std::vector<uint8_t>(kMemorySize);
};

class Model {
public:
    Model(const Case& c, State& state) : c_(c), s_(state) {}

    void run() {
        if (c_.repeat == Repeat::none) {
            element();
            return;
        }
        while (s_.cx != 0 && element()) {
            --s_.cx;
            const bool compares = c_.kind == Kind::cmps || c_.kind == Kind::scas;
            const bool equal = (s_.arith & kFlagWordZf) != 0;
            if (compares && equal == (c_.repeat == Repeat::repne)) return;
        }
    }

private:
    bool element() {
        const bool reads_source = c_.kind != Kind::stos && c_.kind != Kind::scas;
        const bool uses_destination = c_.kind != Kind::lods;
        if ((reads_source && outside(s_.si)) || (uses_destination && outside(s_.di))) {
            s_.faulted = true;
            return false;
        }
        switch (c_.kind) {
            case Kind::movs: put(s_.di, get(c_.source_base + s_.si)); break;
            case Kind::stos: put(s_.di, s_.ax); break;
            case Kind::lods: load(get(c_.source_base + s_.si)); break;
            case Kind::cmps: compare(get(c_.source_base + s_.si)); break;
            case Kind::scas: compare(s_.ax); break;
        }
        if (reads_source) step(s_.si);
        if (uses_destination) step(s_.di);
        return true;
    }

    bool outside(uint64_t offset) const {
        return offset > c_.limit || c_.size - 1 > c_.limit - offset;
    }
    uint64_t get(uint64_t linear) const {
        uint64_t value = 0;
        std::memcpy(&value, &s_.memory[linear - kMemory], c_.size);
        return value;
    }
    void put(uint64_t offset, uint64_t value) {
        std::memcpy(&s_.memory[c_.destination_base + offset - kMemory], &value, c_.size);
    }
    void load(uint64_t value) { std::memcpy(&s_.ax, &value, c_.size); }
    void compare(uint64_t a) {
        const uint64_t b = get(c_.destination_base + s_.di);
        switch (c_.size) {
            case 1: sub<uint8_t>(static_cast<uint8_t>(a), static_cast<uint8_t>(b), s_.arith); break;
            case 2:
                sub<uint16_t>(static_cast<uint16_t>(a), static_cast<uint16_t>(b), s_.arith);
                break;
            default:
                sub<uint32_t>(static_cast<uint32_t>(a), static_cast<uint32_t>(b), s_.arith);
                break;
        }
    }
    void step(uint64_t& index) const {
        index =
            (c_.down ? index - c_.size : index + c_.size) & (c_.wide_address ? 0xFFFFFFFF : 0xFFFF);
    }

    const Case& c_;
    State& s_;
};

class StringsTest : public testing::Test {
protected:
    State interpret(const Case& c, const State& before) {
        m.enter_real();
        put_code(c);
        EXPECT_TRUE(m.memory.write(Gpa{kMemory}, std::as_bytes(std::span(before.memory))));
        Cpu& cpu = m.cpu();
        cpu.gpr[x86::kRax] = before.ax;
        cpu.gpr[x86::kRcx] = before.cx;
        cpu.gpr[x86::kRsi] = before.si;
        cpu.gpr[x86::kRdi] = before.di;
        cpu.arith = before.arith;
        cpu.system_flags = c.down ? uint32_t{x86::kDf} : 0;
        cpu.seg[x86::kDs] = {0, {0x93}, c.limit, c.source_base};
        cpu.seg[x86::kEs] = {0, {0x93}, c.limit, c.destination_base};
        cpu.mode_changed();
        m.run();
        return after();
    }

    // Near the ends of pages and segments, near each other, with few and with many elements.
    Case random_case() {
        static constexpr Kind kKinds[] = {Kind::movs, Kind::stos, Kind::lods, Kind::cmps,
                                          Kind::scas};
        static constexpr Repeat kRepeats[] = {Repeat::none, Repeat::rep, Repeat::rep,
                                              Repeat::repne};
        return {.kind = kKinds[below(5)],
                .repeat = kRepeats[below(4)],
                .size = 1U << below(3),
                .down = below(3) == 0,
                .wide_address = below(3) == 0,
                .limit = below(4) == 0 ? 0x2345U : 0xFFFFU,
                .source_base = kMemory + 0x10 * below(16),
                .destination_base = kMemory + (below(2) == 0 ? 0x10000 : 0x10 * below(16))};
    }
    State random_state() {
        State s;
        static constexpr uint64_t kPlaces[] = {0, 0x1000, 0x2345, 0x8000, 0x10000};
        const uint64_t place = kPlaces[below(5)];
        s.ax = below(2) == 0 ? 0 : random_() & 0xFFFFFFFF;
        s.cx = below(16) == 0 ? 5000 + below(4000) : below(80);
        s.si = (place + below(200) - 100) & 0xFFFF;
        s.di = (place + below(200) - 100) & 0xFFFF;
        // Mostly one value, so that comparisons go far.
        for (uint8_t& byte : s.memory)
            byte = below(64) == 0 ? static_cast<uint8_t>(random_()) : 0;
        return s;
    }

    M m;

private:
    uint64_t below(uint64_t limit) { return random_() % limit; }

    void put_code(const Case& c) {
        std::vector<int> code;
        if (c.wide_address) code.push_back(0x67);
        if (c.size == 4) code.push_back(0x66);
        if (c.repeat != Repeat::none) code.push_back(static_cast<int>(c.repeat));
        code.push_back(static_cast<int>(c.kind) | (c.size == 1 ? 0 : 1));
        code.push_back(0xF4);
        for (uint64_t i = 0; i < code.size(); ++i)
            m.put<uint8_t>(M::kCode + i, static_cast<uint8_t>(code[i]));
    }

    State after() {
        Cpu& cpu = m.cpu();
        State s;
        s.ax = cpu.gpr[x86::kRax];
        s.cx = cpu.gpr[x86::kRcx];
        s.si = cpu.gpr[x86::kRsi];
        s.di = cpu.gpr[x86::kRdi];
        s.arith = cpu.arith;
        s.faulted = m.handler() == kGp;
        EXPECT_TRUE(m.memory.read(Gpa{kMemory}, std::as_writable_bytes(std::span(s.memory))));
        return s;
    }

    std::mt19937_64 random_{1};
};

TEST_F(StringsTest, DoWhatElementsOneByOneDo) {
    for (unsigned i = 0; i < 600; ++i) {
        const Case c = random_case();
        const State before = random_state();
        SCOPED_TRACE(testing::Message() << "case " << i);

        const State found = interpret(c, before);

        State expected = before;
        Model(c, expected).run();
        ASSERT_EQ(found.faulted, expected.faulted);
        ASSERT_EQ(found.ax, expected.ax);
        ASSERT_EQ(found.cx, expected.cx);
        ASSERT_EQ(found.si, expected.si);
        ASSERT_EQ(found.di, expected.di);
        ASSERT_EQ(found.arith, expected.arith);
        ASSERT_EQ(found.memory, expected.memory);
    }
}

// Where both operands fault, an address that is none comes before a page that is missing, whichever
// is read first.
TEST(String, CmpsLooksAtBothAddressesBeforeItReads) {
    constexpr uint64_t kNowhere = uint64_t{1} << 62;  // not canonical
    constexpr uint64_t kMissing = uint64_t{1} << 40;
    for (const bool source_is_wrong : {true, false}) {
        TestMachine m;
        m.enter_long();
        m.code({0xA6, 0xF4});
        m.cpu().gpr[x86::kRsi] = source_is_wrong ? kNowhere : kMissing;
        m.cpu().gpr[x86::kRdi] = source_is_wrong ? kMissing : kNowhere;
        m.run();
        EXPECT_EQ((m.cpu().rip - M::kHandlers) / 16, 13U) << source_is_wrong;
    }
}

}  // namespace
}  // namespace banyan::interp
