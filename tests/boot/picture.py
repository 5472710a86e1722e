"""Reads what a text screen shows out of a picture: PNG files, and the characters of the VGA BIOS. Standard library only."""

import struct
import zlib
from pathlib import Path

VGA_BIOS = Path("/usr/share/seabios/vgabios-stdvga.bin")
WIDTH, HEIGHT = 9, 16  # of a character


class Picture:
    """Rows of (red, green, blue)."""

    def __init__(self, width, height, rows):
        self.width, self.height, self.rows = width, height, rows


def read_png(path):
    data = Path(path).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG file"
    at, packed, width, height = 8, b"", 0, 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8:at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + content), "wrong checksum"
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", content)
            assert (depth, colour, interlace) == (8, 2, 0), "not 24 bits of RGB"
        if kind == b"IDAT":
            packed += content
        at += 12 + length
    return Picture(width, height, unfilter(zlib.decompress(packed), width, height))


def unfilter(raw, width, height):
    stride, rows, above = 3 * width, [], bytearray(3 * width)
    for y in range(height):
        start = y * (stride + 1)
        kind, line = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        for i in range(stride):
            left = line[i - 3] if i >= 3 else 0
            corner = above[i - 3] if i >= 3 else 0
            line[i] = (line[i] + predictor(kind, left, above[i], corner)) & 0xFF
        rows.append([tuple(line[i:i + 3]) for i in range(0, stride, 3)])
        above = line
    return rows


def predictor(kind, left, up, corner):
    if kind == 4:
        guess = left + up - corner
        return min((left, up, corner), key=lambda value: abs(guess - value))
    return (0, left, up, (left + up) // 2)[kind]


def glyphs():
    """{rows of eight dots: character} for what can be printed."""
    rom = VGA_BIOS.read_bytes()
    start = rom.index(bytes(18) + bytes([0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81, 0x7E]))
    found = {}
    for code in range(0x20, 0x7F):
        found[rom[start + code * HEIGHT:start + (code + 1) * HEIGHT]] = chr(code)
    return found


def read_text(picture):
    """The lines of a screen of 9 by 16 dots a character; what is no character is '?'."""
    known, lines = glyphs(), []
    for top in range(0, picture.height, HEIGHT):
        line = ""
        for left in range(0, picture.width, WIDTH):
            cell = [picture.rows[top + y][left:left + 8] for y in range(HEIGHT)]
            background = picture.rows[top][left + 8]  # the ninth dot
            code = bytes(sum(0x80 >> x for x in range(8) if row[x] != background) for row in cell)
            line += known.get(code, "?")
        lines.append(line.rstrip())
    return lines
