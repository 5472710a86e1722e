#!/usr/bin/env python3
"""Takes the ELF kernel out of a bzImage: extract-vmlinux.py BZIMAGE VMLINUX

Where the compressed kernel lies stands in the setup header (Documentation/arch/x86/boot.rst: payload_offset and
payload_length, boot protocol 2.08). Only what Debian uses is unpacked here: the legacy LZ4 stream, and xz.
"""

import lzma
import struct
import sys

LZ4_LEGACY = b"\x02\x21\x4c\x18"
XZ = b"\xfd7zXZ\x00"


def payload(image):
    if image[0x202:0x206] != b"HdrS":
        raise ValueError("it is not a bzImage")
    (version,) = struct.unpack_from("<H", image, 0x206)
    if version < 0x208:
        raise ValueError(f"its boot protocol {version >> 8}.{version & 255:02} does not say where the kernel is")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    if start + length > len(image):
        raise ValueError("it is shorter than its header says")
    return image[start : start + length]


def read_length(block, position, length):
    """A length of 15 goes on in the bytes that follow, up to one that is not 255."""
    if length != 15:
        return length, position
    while True:
        byte = block[position]
        position += 1
        length += byte
        if byte != 255:
            return length, position


def unpack_lz4_block(block, limit):
    """The LZ4 block format: literals, then a match copied from what was already unpacked."""
    out = bytearray()
    position = 0
    while position < len(block):
        token = block[position]
        literals, position = read_length(block, position + 1, token >> 4)
        out += block[position : position + literals]
        position += literals
        if position >= len(block):
            break
        distance = block[position] | block[position + 1] << 8
        match, position = read_length(block, position + 2, token & 15)
        match += 4
        if distance == 0 or distance > len(out) or len(out) + match > limit:
            raise ValueError("its LZ4 data are damaged")
        start = len(out) - distance
        if distance >= match:
            out += out[start : start + match]
        else:  # the match overlaps what it makes: a pattern that repeats
            pattern = bytes(out[start:])
            out += (pattern * (match // distance + 1))[:match]
    return out


def unpack_lz4_legacy(data):
    """Magic, then blocks of at most 8 MiB of output, each led by its packed size; the kernel's size ends it."""
    out = bytearray()
    position = 4
    while position + 4 < len(data):
        (size,) = struct.unpack_from("<I", data, position)
        position += 4
        out += unpack_lz4_block(data[position : position + size], 8 << 20)
        position += size
    return out


def unpack(data):
    if data.startswith(LZ4_LEGACY):
        return unpack_lz4_legacy(data)
    if data.startswith(XZ):
        return lzma.LZMADecompressor().decompress(data)
    raise ValueError(f"its compression (magic {data[:4].hex()}) is not known here")


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: extract-vmlinux.py BZIMAGE VMLINUX")
    source, target = sys.argv[1:]
    try:
        with open(source, "rb") as file:
            kernel = unpack(payload(file.read()))
        if kernel[:4] != b"\x7fELF":
            raise ValueError("what it holds is not an ELF file")
        with open(target, "wb") as file:
            file.write(kernel)
    except (OSError, ValueError, IndexError, struct.error) as error:
        sys.exit(f"banyan: cannot extract the kernel of {source}: {error}; use another kernel image")


if __name__ == "__main__":
    main()
