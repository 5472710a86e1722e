#include "devices/display/edid.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>

namespace banyan {

namespace {

using Block = std::array<uint8_t, kEdidSize>;

constexpr size_t kDescriptorSize = 18;
constexpr size_t kFirstDescriptor = 54;

void put(Block& block, size_t at, std::initializer_list<uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), block.begin() + static_cast<std::ptrdiff_t>(at));
}

// Section 3.10.3: a text of at most 13 characters, ended by a line feed and padded with blanks.
void put_text(Block& block, size_t at, uint8_t tag, std::string_view text) {
    put(block, at, {0, 0, 0, tag, 0});
    std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(at + 5), 13, uint8_t{' '});
    for (size_t i = 0; i < text.size(); ++i)
        block[at + 5 + i] = static_cast<uint8_t>(text[i]);
    block[at + 5 + text.size()] = '\n';
}

}  // namespace

Block make_edid() {
    Block block{};
    put(block, 0, {0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00});
    put(block, 8, {0x09, 0xCE});                // "BNY", 3.4.1
    put(block, 10, {0x01, 0x00, 1, 0, 0, 0});   // product, serial number
    put(block, 16, {1, 36, 1, 4});              // week 1 of 2026, EDID 1.4
    put(block, 20, {0xA5, 27, 20, 120, 0x06});  // digital, 8 bits a colour; cm; gamma 2.2; sRGB
    put(block, 25, {0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54});  // sRGB
    // 3.8: 720x400, 640x480, 800x600, 1024x768 at 60 or 70 Hz, 1280x1024 at 75.
    put(block, 35, {0xA1, 0x09, 0x00});
    // 3.9: 1280x800, 1280x1024, 1440x900, 1600x1200, 1680x1050, 1920x1080, 1920x1200 at 60 Hz.
    put(block, 38,
        {0x81, 0x00, 0x81, 0x80, 0x95, 0x00, 0xA9, 0x40, 0xB3, 0x00, 0xD1, 0xC0, 0xD1, 0x00, 0x01,
         0x01});
    // 3.10.2: 1024x768 by the VESA timing, 65 MHz: 1344 dots by 806 lines.
    put(block, kFirstDescriptor,
        {0x64, 0x19, 0x00, 0x40, 0x41, 0x00, 0x26, 0x30, 0x18, 0x88, 0x36, 0x00, 0x0E, 0xC8, 0x00,
         0x00, 0x00, 0x18});
    // 3.10.3.3.1: range limits: 50..125 Hz, 30..160 kHz, up to 300 MHz.
    put(block, kFirstDescriptor + kDescriptorSize,
        {0, 0, 0, 0xFD, 0, 50, 125, 30, 160, 30, 0x01, '\n', ' ', ' ', ' ', ' ', ' ', ' '});
    put_text(block, kFirstDescriptor + 2 * kDescriptorSize, 0xFC, "Banyan");
    put_text(block, kFirstDescriptor + 3 * kDescriptorSize, 0xFF, "1");
    const unsigned sum = std::accumulate(block.begin(), block.end(), 0U);
    block[kEdidSize - 1] = static_cast<uint8_t>(0x100 - (sum & 0xFF));
    return block;
}

}  // namespace banyan
