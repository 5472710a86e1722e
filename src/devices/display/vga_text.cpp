// The characters of a text mode.
#include <array>

#include "devices/display/vga_dispi.hpp"
#include "devices/display/vga_renderer.hpp"
#include "devices/display/vga_scan.hpp"

namespace banyan {

using namespace vga;

namespace {

// IBM's code page 437, which the fonts of every VGA have.
constexpr std::array<char16_t, 32> kFirst{
    u' ', u'☺', u'☻', u'♥', u'♦', u'♣', u'♠', u'•', u'◘', u'○', u'◙', u'♂', u'♀', u'♪', u'♫', u'☼',
    u'►', u'◄', u'↕', u'‼', u'¶', u'§', u'▬', u'↨', u'↑', u'↓', u'→', u'←', u'∟', u'↔', u'▲', u'▼'};
constexpr std::array<char16_t, 129> kFrom127{
    u'⌂', u'Ç', u'ü', u'é', u'â', u'ä', u'à', u'å', u'ç', u'ê', u'ë', u'è', u'ï', u'î', u'ì',
    u'Ä', u'Å', u'É', u'æ', u'Æ', u'ô', u'ö', u'ò', u'û', u'ù', u'ÿ', u'Ö', u'Ü', u'¢', u'£',
    u'¥', u'₧', u'ƒ', u'á', u'í', u'ó', u'ú', u'ñ', u'Ñ', u'ª', u'º', u'¿', u'⌐', u'¬', u'½',
    u'¼', u'¡', u'«', u'»', u'░', u'▒', u'▓', u'│', u'┤', u'╡', u'╢', u'╖', u'╕', u'╣', u'║',
    u'╗', u'╝', u'╜', u'╛', u'┐', u'└', u'┴', u'┬', u'├', u'─', u'┼', u'╞', u'╟', u'╚', u'╔',
    u'╩', u'╦', u'╠', u'═', u'╬', u'╧', u'╨', u'╤', u'╥', u'╙', u'╘', u'╒', u'╓', u'╫', u'╪',
    u'┘', u'┌', u'█', u'▄', u'▌', u'▐', u'▀', u'α', u'ß', u'Γ', u'π', u'Σ', u'σ', u'µ', u'τ',
    u'Φ', u'Θ', u'Ω', u'δ', u'∞', u'φ', u'ε', u'∩', u'≡', u'±', u'≥', u'≤', u'⌠', u'⌡', u'÷',
    u'≈', u'°', u'∙', u'·', u'√', u'ⁿ', u'²', u'■', u' '};

char16_t character_of(uint8_t code) {
    if (code < kFirst.size()) return kFirst[code];
    return code < 127 ? char16_t{code} : kFrom127[code - 127U];
}

void append_utf8(char16_t character, std::string& to) {
    const unsigned code = character;
    if (code < 0x80) {
        to += static_cast<char>(code);
    } else if (code < 0x800) {
        to += static_cast<char>(0xC0 | code >> 6);
        to += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        to += static_cast<char>(0xE0 | code >> 12);
        to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
        to += static_cast<char>(0x80 | (code & 0x3F));
    }
}

void append_row(const VgaScreen& screen, const VgaScan& scan, uint32_t characters,
                std::string& to) {
    const size_t start = to.size();
    for (uint32_t column = 0; column < characters; ++column) {
        const uint32_t word = planes_at(screen.memory, scan.address(column));
        append_utf8(character_of(static_cast<uint8_t>(word)), to);
    }
    const size_t last = to.find_last_not_of(' ');
    to.resize(last == std::string::npos ? start : std::max(last + 1, start));
    to += '\n';
}

}  // namespace

bool screen_text(const VgaScreen& screen, std::string& to) {
    to.clear();
    const VgaGeometry geometry = vga_geometry(screen.state);
    if (dispi_enabled(screen.state) || !geometry.text || vga_is_blank(screen.state, geometry))
        return false;
    VgaScan scan(screen.state);
    bool new_row = true;
    for (uint32_t line = 0; line < geometry.lines; ++line) {
        if (new_row) append_row(screen, scan, geometry.characters, to);
        const uint32_t row = scan.row_address();
        const bool above = !scan.below_split();
        scan.next_line();
        new_row = scan.row_address() != row || (above && scan.below_split());
    }
    return true;
}

}  // namespace banyan
