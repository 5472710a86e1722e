// Golden pictures: a corner of the screen as text, a letter for each colour.
#include "devices/display/vga_renderer.hpp"

#include <gtest/gtest.h>
#include <map>
#include <string>

#include "devices/display/testing/vga_board.hpp"
#include "devices/display/vga_text_mode.hpp"

namespace banyan {
namespace {

using Picture = std::vector<std::string>;

// Colours are named in the order given; another one is '?'.
Picture corner(VgaBoard& b, uint32_t width, uint32_t height, std::vector<uint32_t> colours,
               uint32_t left = 0, uint32_t top = 0) {
    DisplayFrame frame;
    (void)b.vga.update(frame);
    Picture picture;
    for (uint32_t y = top; y < top + height; ++y) {
        std::string line;
        for (uint32_t x = left; x < left + width; ++x) {
            const auto at = std::find(colours.begin(), colours.end(),
                                      frame.pixels.at(size_t{y} * frame.width + x));
            line += at == colours.end() ? '?' : ".#ox+"[at - colours.begin()];
        }
        picture.push_back(line);
    }
    return picture;
}

std::pair<uint32_t, uint32_t> size_of(VgaBoard& b) {
    DisplayFrame frame;
    (void)b.vga.update(frame);
    return {frame.width, frame.height};
}

// What the colour of set_mode() becomes for a value of the DAC's index.
uint32_t dac_colour(unsigned index) {
    const auto widen = [](unsigned v) { return v << 2 | v >> 4; };
    return widen(index & 0x3F) << 16 | widen(index >> 2 & 0x3F) << 8 | widen(index >> 4 & 0x0F);
}

struct TextBoard : VgaBoard {
    TextBoard() {
        set_mode(vga_modes::kText);
        // 'A' of eight rows, and a block that goes to the right edge; by the way that fonts are
        // loaded.
        const uint8_t letter[16] = {0x18, 0x3C, 0x66, 0x66, 0x7E, 0x66, 0x66, 0x66};
        set_glyph(0, 'A', letter);
        const uint8_t block[16] = {0xFF, 0x81, 0x81, 0xFF};
        set_glyph(0, 0xC4, block);
        set_glyph(0, 0x41 + 1, block);
        crtc(0x0A, 0x20);
    }
    void set_glyph(size_t font, unsigned code, const uint8_t (&rows)[16]) {
        for (size_t row = 0; row < 16; ++row)
            memory[(font + code * 32 + row) * 4 + 2] = std::byte{rows[row]};
    }
    void put(unsigned cell, unsigned code, unsigned attribute) {
        write(0x18000 + 2 * cell, code | attribute << 8, 2);
    }
    static constexpr uint32_t kBlack = 0;
};

TEST(VgaText, LettersOfNineDots) {
    TextBoard b;
    b.put(0, 'A', 0x07);
    EXPECT_EQ(size_of(b), std::pair(720U, 400U));
    EXPECT_EQ(corner(b, 10, 8, {TextBoard::kBlack, dac_colour(0x07)}), (Picture{
                                                                           "...##.....",
                                                                           "..####....",
                                                                           ".##..##...",
                                                                           ".##..##...",
                                                                           ".######...",
                                                                           ".##..##...",
                                                                           ".##..##...",
                                                                           ".##..##...",
                                                                       }));
}

TEST(VgaText, NinthDotOfLineGraphics) {
    TextBoard b;
    b.put(0, 0xC4, 0x1E);
    b.put(1, 0x42, 0x1E);
    const std::vector<uint32_t> colours{dac_colour(1), dac_colour(0x3E)};
    EXPECT_EQ(corner(b, 18, 2, colours), (Picture{"#################.", "#......###......#."}));
}

TEST(VgaText, EightDots) {
    TextBoard b;
    b.sequencer(1, 0x01);
    b.put(0, 'A', 0x07);
    b.put(1, 'A', 0x07);
    EXPECT_EQ(size_of(b), std::pair(640U, 400U));
    EXPECT_EQ(corner(b, 16, 1, {0, dac_colour(7)}), Picture{"...##......##..."});
}

TEST(VgaText, CursorBlinks) {
    TextBoard b;
    b.crtc(0x0A, 2);
    b.crtc(0x0B, 3);
    b.crtc(0x0F, 1);
    b.put(1, ' ', 0x07);
    const std::vector<uint32_t> colours{0, dac_colour(7)};
    EXPECT_EQ(corner(b, 4, 5, colours, 8), (Picture{"....", "....", ".###", ".###", "...."}));
    b.clock.advance(16 * 1'000'000'000ULL / 70 + 1000);
    EXPECT_EQ(corner(b, 4, 5, colours, 8), (Picture{"....", "....", "....", "....", "...."}));
}

TEST(VgaText, AttributeBit7BlinksOrIsBackground) {
    TextBoard b;
    b.put(0, 'A', 0x9E);
    const std::vector<uint32_t> colours{dac_colour(1), dac_colour(0x3E), dac_colour(0x39)};
    EXPECT_EQ(corner(b, 8, 1, colours), Picture{"...##..."});
    b.clock.advance(33 * 1'000'000'000ULL / 70);
    EXPECT_EQ(corner(b, 8, 1, colours), Picture{"........"});
    b.attribute(0x10, 0x04);
    b.screen_on();
    EXPECT_EQ(corner(b, 8, 1, colours), Picture{"ooo##ooo"});
}

TEST(VgaText, UnderlineOfMonochrome) {
    TextBoard b;
    b.crtc(0x14, 7);
    b.put(0, ' ', 0x01);
    EXPECT_EQ(corner(b, 3, 3, {0, dac_colour(1)}, 0, 6), (Picture{"...", "###", "..."}));
}

TEST(VgaText, SecondCharacterSet) {
    TextBoard b;
    const uint8_t bar[16] = {0xF0};
    b.set_glyph(0x4000, 'A', bar);
    b.sequencer(3, 0x04);  // set A, of attribute bit 3, is the second
    b.put(0, 'A', 0x07);
    b.put(1, 'A', 0x0F);
    EXPECT_EQ(corner(b, 18, 1, {0, dac_colour(7), dac_colour(0x3F)}),
              Picture{"...##....oooo....."});
}

TEST(VgaText, StartAddressPanningAndSplit) {
    TextBoard b;
    b.put(80, 'A', 0x07);
    b.crtc(0x0D, 80);
    const std::vector<uint32_t> colours{0, dac_colour(7)};
    EXPECT_EQ(corner(b, 6, 1, colours), Picture{"...##."});
    b.attribute(0x13, 1);  // of nine dots: two
    b.crtc(0x08, 1);
    b.screen_on();
    EXPECT_EQ(corner(b, 6, 1, colours), Picture{"####.."}) << "line 1, two dots to the left";
    b.put(0, 'A', 0x07);
    b.crtc(0x18, 31);
    b.crtc(0x07, 0x0F);
    b.crtc(0x09, 0x0F);
    b.attribute(0x10, 0x2C);
    b.screen_on();
    EXPECT_EQ(corner(b, 6, 1, colours, 0, 32), Picture{"...##."}) << "below the split, not panned";
}

TEST(VgaText, CharactersOfTheScreen) {
    TextBoard b;
    std::string text;
    b.put(0, 'H', 7);
    b.put(1, 'i', 7);
    b.put(80 * 24 + 79, 0xDB, 7);
    ASSERT_TRUE(b.vga.text(text));
    EXPECT_EQ(text.substr(0, 3), "Hi\n");
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 25);
    EXPECT_TRUE(text.ends_with("█\n"));
    b.set_mode(vga_modes::kMode13h);
    EXPECT_FALSE(b.vga.text(text));
}

TEST(VgaText, ModeWithoutFirmware) {
    std::vector<std::byte> rom(8192);
    const uint8_t face[] = {0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81, 0x7E};
    for (size_t i = 0; i < 10; ++i)
        rom[1000 + 16 + 2 + i] = std::byte{face[i]};
    rom[999] = std::byte{0xFF};
    VgaBoard b(1 << 20, rom);
    b.vga.set_text_mode();
    EXPECT_EQ(size_of(b), std::pair(720U, 400U));
    b.write(0x18000, 0x0701, 2);
    b.write(0x18002, 0x0701, 2);
    const auto picture = corner(b, 9, 3, {0, 0xAAAAAA}, 9, 2);
    EXPECT_EQ(picture, (Picture{".######..", "#......#.", "#.#..#.#."}));
    std::string text;
    ASSERT_TRUE(b.vga.text(text));
    EXPECT_EQ(text.substr(0, text.find('\n')), "☺☺");
}

TEST(VgaGraphics, Planar) {
    VgaBoard b;
    b.set_mode(vga_modes::kPlanar640x480);
    EXPECT_EQ(size_of(b), std::pair(640U, 480U));
    b.sequencer(2, 0x01);
    b.write(0, 0xF0);
    b.sequencer(2, 0x08);
    b.write(0, 0x3C);
    b.sequencer(2, 0x0F);
    b.write(80, 0x01);
    const std::vector<uint32_t> colours{0, dac_colour(1), dac_colour(0x38), dac_colour(0x39),
                                        dac_colour(0x3F)};
    EXPECT_EQ(corner(b, 9, 2, colours), (Picture{"##xxoo...", ".......+."}));
    b.attribute(0x12, 0x07);  // plane 3 off
    b.screen_on();
    EXPECT_EQ(corner(b, 9, 1, colours), Picture{"####....."});
}

TEST(VgaGraphics, Cga) {
    VgaBoard b;
    b.set_mode(vga_modes::kCga4);
    EXPECT_EQ(size_of(b), std::pair(640U, 400U));
    b.write(0x18000, 0x1B);  // pixels 0 1 2 3
    b.write(0x18001, 0xE4);  // pixels 3 2 1 0
    b.write(0x1A000, 0xFF);  // the second line is 8 KiB on
    const std::vector<uint32_t> colours{0, dac_colour(1), dac_colour(2), dac_colour(3)};
    EXPECT_EQ(corner(b, 18, 4, colours), (Picture{
                                             "..##ooxxxxoo##....",
                                             "..##ooxxxxoo##....",
                                             "xxxxxxxx..........",
                                             "xxxxxxxx..........",
                                         }));
}

TEST(VgaGraphics, Mode13h) {
    VgaBoard b;
    b.set_mode(vga_modes::kMode13h);
    EXPECT_EQ(size_of(b), std::pair(640U, 400U));
    b.write(0, 0x00302010, 4);
    b.write(320, 0x40);
    const std::vector<uint32_t> colours{0, dac_colour(0x10), dac_colour(0x20), dac_colour(0x30),
                                        dac_colour(0x40)};
    EXPECT_EQ(corner(b, 8, 4, colours), (Picture{"##ooxx..", "##ooxx..", "++......", "++......"}));
    b.out(0x3C6, 0x1F);
    EXPECT_EQ(corner(b, 8, 1, colours), Picture{"##..##.."}) << "the DAC's mask";
}

TEST(VgaGraphics, ModeX) {
    VgaBoard b;
    b.set_mode(vga_modes::kMode13h);
    b.sequencer(4, 0x06);
    b.crtc(0x14, 0x00);
    b.crtc(0x17, 0xE3);
    b.sequencer(2, 0x02);
    b.write(0, 0x10);
    b.write(80, 0x20);
    b.sequencer(2, 0x01);
    b.write(1, 0x30);
    const std::vector<uint32_t> colours{0, dac_colour(0x10), dac_colour(0x20), dac_colour(0x30)};
    EXPECT_EQ(corner(b, 10, 3, colours), (Picture{"..##....xx", "..##....xx", "..oo......"}));
}

TEST(VgaDispiPicture, Depths) {
    struct Case {
        unsigned depth;
        uint32_t raw;
        uint32_t colour;
    };
    const Case cases[] = {{8, 0x24, dac_colour(0x24)},
                          {15, 0x7C1F, 0xFF00FF},
                          {16, 0x07E0, 0x00FF00},
                          {24, 0x123456, 0x123456},
                          {32, 0xAA123456, 0x123456}};
    for (const Case& c : cases) {
        VgaBoard b;
        b.set_mode(vga_modes::kMode13h);
        b.set_dispi_mode(320, 240, c.depth);
        EXPECT_EQ(size_of(b), std::pair(320U, 240U));
        const size_t at = (size_t{320} + 1) * ((c.depth + 7) / 8);
        std::memcpy(b.memory.data() + at, &c.raw, (c.depth + 7) / 8);
        const uint32_t background = c.depth == 8 ? dac_colour(0) : 0;
        EXPECT_EQ(corner(b, 3, 3, {background, c.colour}), (Picture{"...", ".#.", "..."}))
            << c.depth;
    }
}

TEST(VgaDispiPicture, VirtualScreenIsPanned) {
    VgaBoard b;
    b.set_dispi_mode(320, 100, 32);
    b.dispi(6, 640);
    b.dispi(8, 5);
    b.dispi(9, 7);
    const uint32_t white = 0xFFFFFF;
    std::memcpy(b.memory.data() + (640 * 8 + 6) * 4, &white, 4);
    EXPECT_EQ(corner(b, 3, 3, {0, white}), (Picture{"...", ".#.", "..."}));
}

TEST(VgaDispiPicture, SixteenColours) {
    VgaBoard b;
    b.set_mode(vga_modes::kPlanar640x480);
    b.set_dispi_mode(800, 600, 4);
    b.sequencer(2, 0x01);
    b.write(100, 0x81);
    EXPECT_EQ(size_of(b), std::pair(800U, 600U));
    EXPECT_EQ(corner(b, 9, 2, {0, dac_colour(1)}), (Picture{".........", "#......#."}));
}

TEST(VgaDispiPicture, EightBitDac) {
    VgaBoard b;
    b.set_dispi_mode(320, 100, 8, 0x61);
    b.colour(0, 0x12, 0x34, 0xF6);
    EXPECT_EQ(corner(b, 1, 1, {0, 0x1234F6}), Picture{"#"});
}

TEST(VgaDispiPicture, WhatDoesNotFitIsBlank) {
    VgaBoard b;
    b.set_dispi_mode(1024, 768, 32);  // 3 MiB of 1
    EXPECT_EQ(size_of(b), std::pair(640U, 400U));
}

TEST(VgaPicture, BlankUntilItIsSetUp) {
    VgaBoard b;
    EXPECT_EQ(size_of(b), std::pair(640U, 400U));
    EXPECT_EQ(corner(b, 2, 1, {0}), Picture{".."});
    b.set_mode(vga_modes::kMode13h);
    b.sequencer(1, 0x21);
    b.colour(0, 0x3F, 0, 0);
    EXPECT_EQ(corner(b, 2, 1, {0, 0xFF0000}), Picture{".."}) << "screen off";
    b.sequencer(1, 0x01);
    EXPECT_EQ(corner(b, 2, 1, {0, 0xFF0000}), Picture{"##"});
}

TEST(VgaPicture, SaysWhichLinesChanged) {
    VgaBoard b;
    b.set_dispi_mode(320, 200, 32);
    DisplayFrame frame;
    DisplayChange change = b.vga.update(frame);
    EXPECT_TRUE(change.resized);
    EXPECT_EQ(change.end, 200U);
    change = b.vga.update(frame);
    EXPECT_FALSE(change.resized);
    EXPECT_EQ(change.first, change.end);
    b.memory[320 * 4 * 10] = std::byte{1};
    b.memory[320 * 4 * 12] = std::byte{1};
    change = b.vga.update(frame);
    EXPECT_EQ(change.first, 10U);
    EXPECT_EQ(change.end, 13U);
}

}  // namespace
}  // namespace banyan
