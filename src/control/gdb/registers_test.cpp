#include "control/gdb/registers.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "control/gdb/target_description.hpp"
#include "control/gdb/words.hpp"

namespace banyan::gdb {
namespace {

const Register& find(std::string_view name) {
    const auto found = std::find_if(registers().begin(), registers().end(),
                                    [name](const Register& reg) { return reg.name == name; });
    EXPECT_NE(found, registers().end()) << name;
    return *found;
}

std::string value(const x86::RegisterState& state, std::string_view name) {
    x86::RegisterState shown = state;
    write_out_initial_state(shown);
    std::vector<std::byte> bytes(find(name).size);
    read_register(shown, find(name), bytes);
    return to_hex(bytes);
}

bool set(x86::RegisterState& state, std::string_view name, std::string_view hex) {
    return write_register(state, find(name), *from_hex(hex));
}

// As the processor has it after its power-on, where all components are in their initial state.
x86::RegisterState fresh() {
    return x86::power_on_state(true, 0);
}

TEST(Registers, HaveTheNumbersThatGdbKnows) {
    EXPECT_EQ(registers()[0].name, "rax");
    EXPECT_EQ(registers()[7].name, "rsp");
    EXPECT_EQ(registers()[16].name, "rip");
    EXPECT_EQ(registers()[24].name, "st0");
}

TEST(Registers, AreInTheDescriptionInTheirOrder) {
    size_t at = 0;
    for (const Register& reg : registers()) {
        at = target_description().find("<reg name=\"" + reg.name + "\"", at);
        ASSERT_NE(at, std::string::npos) << reg.name;
    }
}

TEST(Registers, NumbersAreReadAndWritten) {
    x86::RegisterState state = fresh();

    EXPECT_TRUE(set(state, "rbx", "8877665544332211"));
    EXPECT_TRUE(set(state, "rip", "00000081ffffffff"));
    EXPECT_TRUE(set(state, "gs_base", "1000000000000000"));
    EXPECT_TRUE(set(state, "k_gs_base", "2000000000000000"));

    EXPECT_EQ(state.gpr[x86::kRbx], 0x1122334455667788U);
    EXPECT_EQ(value(state, "rbx"), "8877665544332211");
    EXPECT_EQ(state.rip, 0xFFFFFFFF81000000U);
    EXPECT_EQ(state.segments[x86::kGs].base, 0x10U);
    EXPECT_EQ(state.msr.kernel_gs_base, 0x20U);
}

TEST(Registers, FlagsKeepTheirFixedBit) {
    x86::RegisterState state = fresh();

    EXPECT_TRUE(set(state, "eflags", "00020000"));

    EXPECT_EQ(state.rflags, x86::kIf | x86::kFlagsFixed);
}

TEST(Registers, WhatDecidesTheModeIsForReading) {
    x86::RegisterState state = fresh();
    state.cr3 = 0x5000;
    state.cr8 = 3;

    EXPECT_EQ(value(state, "cr3"), "0050000000000000");
    EXPECT_EQ(value(state, "cr8"), "0300000000000000");
    EXPECT_EQ(value(state, "cs"), "00f00000");
    for (const std::string_view name : {"cr0", "cr3", "cr4", "cr8", "efer"})
        EXPECT_FALSE(set(state, name, "0100000000000000")) << name;
    EXPECT_FALSE(set(state, "cs", "08000000"));
    EXPECT_TRUE(set(state, "cs", "00f00000")) << "it has this value";
}

TEST(Registers, AComponentInItsInitialStateIsShownSo) {
    x86::RegisterState state;
    state.xsave.fill(std::byte{0xAA});
    std::fill_n(state.xsave.begin() + x86::kXsaveLegacySize, 8, std::byte{0});

    EXPECT_EQ(value(state, "xmm3"), std::string(32, '0'));
    EXPECT_EQ(value(state, "ymm3h"), std::string(32, '0'));
    EXPECT_EQ(value(state, "st3"), std::string(20, '0'));
    EXPECT_EQ(value(state, "fctrl"), "7f030000");
    EXPECT_EQ(value(state, "ftag"), "ffff0000");
}

TEST(Registers, AWriteMakesAComponentCount) {
    x86::RegisterState state = fresh();

    EXPECT_TRUE(set(state, "xmm1", "000102030405060708090a0b0c0d0e0f"));

    EXPECT_EQ(value(state, "xmm1"), "000102030405060708090a0b0c0d0e0f");
    EXPECT_EQ(value(state, "xmm0"), std::string(32, '0'));
}

TEST(Registers, YmmNeedsAvx) {
    x86::RegisterState state = fresh();
    const std::string ones(32, '1');

    EXPECT_FALSE(set(state, "ymm1h", ones));
    state.xcr0 = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx;
    EXPECT_TRUE(set(state, "ymm1h", ones));
    EXPECT_EQ(value(state, "ymm1h"), ones);
}

// FLD1, FLDZ: TOP is 6, ST(0) is physical register 6.
TEST(Registers, TagsTellWhatIsOnTheStack) {
    x86::RegisterState state = fresh();
    EXPECT_TRUE(set(state, "fstat", "00300000"));
    EXPECT_TRUE(set(state, "st1", "0000000000000080ff3f"));
    EXPECT_TRUE(set(state, "ftag", "ff0f0000"));

    EXPECT_EQ(value(state, "ftag"), "ff1f0000");
    EXPECT_TRUE(set(state, "ftag", "ffff0000"));
    EXPECT_EQ(value(state, "ftag"), "ffff0000");
}

}  // namespace
}  // namespace banyan::gdb
