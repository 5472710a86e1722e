// Recipes, code memory and the cache of thunks.
#include "cpu/interp/native_thunk.hpp"

#include <algorithm>
#include <bit>
#include <gtest/gtest.h>

#include "cpu/interp/native_testing.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

class Recipes : public testing::Test {
protected:
    Recipes() : model_(*CpuModel::create("max", 1, 1'000'000'000)) {}

    // The code of the recipe; empty: refused.
    std::vector<int> of(std::vector<uint8_t> bytes, uint32_t mode = Mode::kCode64) {
        ZydisDecoder decoder;
        ZydisDecodedInstruction in;
        std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
        const bool wide = mode == Mode::kCode64;
        const auto machine = wide                     ? ZYDIS_MACHINE_MODE_LONG_64
                             : (mode & Mode::kCode32) ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                      : ZYDIS_MACHINE_MODE_LEGACY_16;
        ZydisDecoderInit(&decoder, machine, wide ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
        EXPECT_TRUE(ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &in, operands.data())));
        const Decoded decoded{in, operands.data(), bytes.data(), 0, Mode{mode}, model_, arena_};
        recipe_ = {};
        if (!make_recipe(decoded, recipe_)) return {};
        return {recipe_.code.begin(), recipe_.code.begin() + recipe_.length};
    }

    CpuModel model_;
    Arena arena_;
    Recipe recipe_;
};

TEST_F(Recipes, MemoryBecomesOneRegister) {
    const std::vector<int> expected = {0x41, 0x0F, 0x58, 0x09};  // addps xmm1, [r9]

    EXPECT_EQ(of({0x0F, 0x58, 0x08}), expected);
    EXPECT_EQ(of({0x42, 0x0F, 0x58, 0x4C, 0xA5, 0x40}), expected);
    EXPECT_EQ(of({0x65, 0x67, 0x0F, 0x58, 0x0D, 1, 2, 3, 4}), expected);
    EXPECT_EQ(of({0x0F, 0x58, 0x0F}, 0), expected);
}

TEST_F(Recipes, VectorRegistersStay) {
    EXPECT_EQ(of({0x45, 0x0F, 0x58, 0xC7}),
              (std::vector<int>{0x45, 0x0F, 0x58, 0xC7}));  // addps xmm8, xmm15
    EXPECT_EQ(of({0xC5, 0xF0, 0x58, 0xCA}), (std::vector<int>{0xC4, 0xE1, 0x70, 0x58, 0xCA}));
    EXPECT_EQ(of({0xC4, 0x43, 0x09, 0x4A, 0xF8, 0xB0}),
              (std::vector<int>{0xC4, 0x43, 0x09, 0x4A, 0xF8,
                                0xB0}));  // vblendvps xmm15, xmm14, xmm8, xmm11
}

TEST_F(Recipes, EvexKeepsAllOfItsRegisters) {
    EXPECT_EQ(
        of({0x62, 0x21, 0x75, 0x40, 0xFE, 0xFA}),
        (std::vector<int>{0x62, 0x21, 0x75, 0x40, 0xFE, 0xFA}));  // vpaddd zmm31, zmm17, zmm18
    EXPECT_EQ(of({0x62, 0xF1, 0x6D, 0x59, 0xFE, 0x4F, 0x01}),
              (std::vector<int>{0x62, 0xD1, 0x6D, 0x59, 0xFE,
                                0x09}));  // vpaddd zmm1{k1}, zmm2, [rdi+4]{1to16}
    EXPECT_EQ(of({0x62, 0xD2, 0x7D, 0x48, 0x7C, 0xC9}),
              (std::vector<int>{0x62, 0xD2, 0x7D, 0x48, 0x7C, 0xCB}));  // vpbroadcastd zmm1, r9d
}

TEST_F(Recipes, GeneralRegistersBecomeStandIns) {
    EXPECT_EQ(of({0x66, 0x48, 0x0F, 0x6E, 0xC8}),
              (std::vector<int>{0x66, 0x49, 0x0F, 0x6E, 0xCB}));  // movq xmm1, rax
    EXPECT_EQ(recipe_.gpr[1], x86::kRax * 8);
    const Recipe first = recipe_;
    of({0x66, 0x49, 0x0F, 0x6E, 0xCF});  // movq xmm1, r15
    EXPECT_EQ(recipe_.code, first.code);
    EXPECT_EQ(recipe_.gpr[1], x86::kR15 * 8);
    of({0xF2, 0x0F, 0x38, 0xF0, 0xCC});  // crc32 ecx, ah
    EXPECT_EQ(recipe_.gpr[0], x86::kRcx * 8);
    EXPECT_EQ(recipe_.gpr[1], x86::kRax * 8 + 1);
    of({0xF2, 0x40, 0x0F, 0x38, 0xF0, 0xCC});  // crc32 ecx, spl
    EXPECT_EQ(recipe_.gpr[1], x86::kRsp * 8);
}

TEST_F(Recipes, PrefixesThatDoNothingGo) {
    EXPECT_EQ(of({0x2E, 0x66, 0xF3, 0x0F, 0x58, 0xCA}),
              (std::vector<int>{0xF3, 0x0F, 0x58, 0xCA}));  // addss
}

TEST_F(Recipes, OperandSizeOf16BitCodeIsInverted) {
    EXPECT_EQ(of({0xF3, 0x0F, 0xB8, 0xC1}, 0),
              (std::vector<int>{0x66, 0xF3, 0x45, 0x0F, 0xB8, 0xD3}));
    EXPECT_EQ(of({0x66, 0xF3, 0x0F, 0xB8, 0xC1}, 0),
              (std::vector<int>{0xF3, 0x45, 0x0F, 0xB8, 0xD3}));
}

TEST_F(Recipes, OtherEncodingsAreRefused) {
    EXPECT_TRUE(of({0x0F, 0x0F, 0xC1, 0x9E}).empty());  // pfadd
    EXPECT_TRUE(of({0x50}).empty());                    // push rax
}

class CodeMemories : public testing::TestWithParam<CodeMemory::Mapping> {};

TEST_P(CodeMemories, RunWhatWasWritten) {
    CodeMemory memory(16 * 4096, GetParam());
    const std::array<uint8_t, 6> seven = {0xB8, 7, 0, 0, 0, 0xC3};  // mov eax, 7; ret
    const std::array<uint8_t, 6> nine = {0xB8, 9, 0, 0, 0, 0xC3};

    const uint8_t* first = memory.add(seven);
    const uint8_t* second = memory.add(nine);
    ASSERT_NE(first, nullptr);
    ASSERT_NE(second, nullptr);

    EXPECT_EQ(std::bit_cast<int (*)()>(first)(), 7);
    EXPECT_EQ(std::bit_cast<int (*)()>(second)(), 9);
    EXPECT_EQ(std::bit_cast<int (*)()>(first)(), 7);
}

TEST_P(CodeMemories, SayWhenTheyAreFull) {
    CodeMemory memory(4 * 4096, GetParam());
    const std::array<uint8_t, 4096> page{};

    for (int i = 0; i < 4; ++i)
        EXPECT_NE(memory.add(page), nullptr);

    EXPECT_EQ(memory.add(page), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Mappings, CodeMemories,
                         testing::Values(CodeMemory::Mapping::twice_if_possible,
                                         CodeMemory::Mapping::once));

Recipe recipe_of(std::initializer_list<uint8_t> code) {
    Recipe recipe;
    std::copy(code.begin(), code.end(), recipe.code.begin());
    recipe.length = static_cast<uint8_t>(code.size());
    return recipe;
}

TEST(ThunkCaches, OneThunkForOneRecipe) {
    ThunkCache cache(64 * 1024);
    const Recipe add = recipe_of({0x0F, 0x58, 0xCA});

    const Thunk* first = cache.find(add);

    EXPECT_EQ(cache.find(add), first);
    EXPECT_NE(cache.find(recipe_of({0x0F, 0x59, 0xCA})), first);
    EXPECT_TRUE(first->uses_mxcsr);
    EXPECT_EQ(first->memory_size, 0);
}

TEST(ThunkCaches, AFullCacheKeepsWhatItHas) {
    ThunkCache cache(4096);
    const Thunk* first = cache.find(recipe_of({0x66, 0x0F, 0x70, 0xCA, 0}));
    ASSERT_NE(first, nullptr);
    const Thunk* last = first;
    for (unsigned i = 1; i < 256 && last != nullptr; ++i) {
        last = cache.find(recipe_of(
            {0x66, 0x0F, 0x70, 0xCA, static_cast<uint8_t>(i)}));  // pshufd with immediates
    }

    EXPECT_EQ(last, nullptr);
    EXPECT_EQ(cache.find(recipe_of({0x66, 0x0F, 0x70, 0xCA, 0})), first);
}

TEST(ThunkCaches, RunWithoutRoom) {
    NativeMachine m;
    m.enter_vectors();
    m.set_xmm<uint32_t>(2, {1, 2, 3, 4});
    const Op op{};

    EXPECT_TRUE(ThunkCache::instance().run_uncached(recipe_of({0x66, 0x0F, 0x70, 0xCA, 0x1B}),
                                                    m.cpu(), &op, nullptr));
    EXPECT_EQ(m.xmm<uint32_t>(1, 0), 4U);
    EXPECT_TRUE(ThunkCache::instance().run_uncached(recipe_of({0x66, 0x0F, 0x70, 0xCA, 0xE4}),
                                                    m.cpu(), &op, nullptr));
    EXPECT_EQ(m.xmm<uint32_t>(1, 0), 1U);
}

TEST(ThunkCaches, RunWithoutRoomMayFault) {
    NativeMachine m;
    m.enter_vectors();
    m.cpu().vectors.mxcsr = 0;
    m.set_xmm<float>(1, {1, 1, 1, 1});
    const Op op{};

    EXPECT_FALSE(
        ThunkCache::instance().run_uncached(recipe_of({0x0F, 0x5E, 0xCA}), m.cpu(), &op, nullptr));

    EXPECT_EQ(m.cpu().fault.vector, x86::Vector::xm);
    EXPECT_EQ(m.xmm<float>(1), 1);
}

}  // namespace
}  // namespace banyan::interp
