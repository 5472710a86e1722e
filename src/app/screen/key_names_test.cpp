#include "app/screen/key_names.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using Strokes = std::vector<KeyStroke>;

constexpr KeyCode kDelete{KeyCode::kExtended | 0x53};

TEST(KeyNames, KeysArePressedTogether) {
    const auto strokes = strokes_of_keys("ctrl-alt-delete");
    ASSERT_TRUE(strokes);
    EXPECT_EQ(*strokes, (Strokes{{{0x1D}, true},
                                 {{0x38}, true},
                                 {kDelete, true},
                                 {kDelete, false},
                                 {{0x38}, false},
                                 {{0x1D}, false}}));
}

TEST(KeyNames, LettersDigitsAndNames) {
    EXPECT_EQ((*strokes_of_keys("a"))[0].key, KeyCode{0x1E});
    EXPECT_EQ((*strokes_of_keys("0"))[0].key, KeyCode{0x0B});
    EXPECT_EQ((*strokes_of_keys("f12"))[0].key, KeyCode{0x58});
    EXPECT_EQ((*strokes_of_keys("minus"))[0].key, KeyCode{0x0C});
}

TEST(KeyNames, UnknownOnesAreRefused) {
    for (const char* const name : {"", "fly", "A", "ctrl-", "-", "ctrl--a", "\x01"})
        EXPECT_FALSE(strokes_of_keys(name)) << name;
}

TEST(KeyNames, TextIsTypedWithShift) {
    EXPECT_EQ(*strokes_of_text("a"), (Strokes{{{0x1E}, true}, {{0x1E}, false}}));
    EXPECT_EQ(*strokes_of_text("|"),
              (Strokes{{{0x2A}, true}, {{0x2B}, true}, {{0x2B}, false}, {{0x2A}, false}}));
    EXPECT_EQ((*strokes_of_text("\n"))[0].key, KeyCode{0x1C});
    EXPECT_FALSE(strokes_of_text("\xC3\xA4"));
}

TEST(KeyNames, EveryPrintableCharacterHasAKey) {
    for (char c = 0x20; c < 0x7F; ++c) {
        EXPECT_TRUE(strokes_of_text({&c, 1})) << c;
        EXPECT_TRUE(key_of_symbol(static_cast<uint32_t>(c))) << c;
    }
}

TEST(KeyNames, Symbols) {
    EXPECT_EQ(key_of_symbol('A'), KeyCode{0x1E});
    EXPECT_EQ(key_of_symbol(0xFF0D), KeyCode{0x1C});
    EXPECT_EQ(key_of_symbol(0xFFFF), kDelete);
    EXPECT_EQ(key_of_symbol(0), std::nullopt);
    EXPECT_EQ(key_of_symbol(0x1000'0000), std::nullopt);
}

}  // namespace
}  // namespace banyan
