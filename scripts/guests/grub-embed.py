#!/usr/bin/env python3
"""grub-embed.py DISK BOOT_IMG CORE_IMG SECTOR: makes a disk image bootable by BIOS with GRUB.

It does what grub-bios-setup does, on a file and without root: GRUB's first sector goes to the disk's, beside the partition
table, and the core image to the given sector, where a partition for it starts. The offsets are those of GRUB's
include/grub/i386/pc/boot.h: the first sector names the sector of the core image (0x5C), and the core image's own first
sector has a list of where the rest lies, whose first entry is its last 12 bytes.
"""

import struct
import sys

SECTOR = 512
CODE_BYTES = 440  # of the first sector; the rest is the disk's signature and the partition table
KERNEL_SECTOR = 0x5C
FIRST_BLOCK = SECTOR - 12


def main(disk_name, boot_name, core_name, place):
    with open(boot_name, "rb") as file:
        boot = bytearray(file.read(SECTOR))
    with open(core_name, "rb") as file:
        core = bytearray(file.read())
    struct.pack_into("<Q", boot, KERNEL_SECTOR, place)
    struct.pack_into("<Q", core, FIRST_BLOCK, place + 1)
    with open(disk_name, "r+b") as disk:
        disk.write(boot[:CODE_BYTES])
        disk.seek(place * SECTOR)
        disk.write(core)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
