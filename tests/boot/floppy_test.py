#!/usr/bin/env python3
"""Linux's floppy driver on a FAT disk of 1.44M: what the host put there is read, what the guest writes is in the image."""

import hashlib
import struct
import tempfile
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, Console, Machine, banyan_command, guest_file, kernel_complaints, report

SECTOR = 512
FAT_SECTORS = 9
CONTENT = bytes(value * 7 % 256 for value in range(100_000))
COMMAND = ("mkdir /m && mount -t vfat /dev/fd0 /m && sha256sum /m/data.bin && cp /m/data.bin /m/copy.bin && "
           "echo from-the-guest >/m/new.txt && umount /m && mount -t vfat /dev/fd0 /m && cat /m/new.txt && "
           "cmp /m/data.bin /m/copy.bin && umount /m")


def fat12_disk(content):
    """A disk of 1.44M as DOS formats it, with one file DATA.BIN."""
    disk = bytearray(1440 * 1024)
    geometry = struct.pack("<HBHBHHBHHHII", SECTOR, 1, 1, 2, 224, 2880, 0xF0, FAT_SECTORS, 18, 2, 0, 0)
    label = struct.pack("<BBBI", 0, 0, 0x29, 0x12345678) + b"BANYAN     FAT12   "
    disk[0:62] = b"\xeb\x3c\x90BANYAN  " + geometry + label
    disk[510:512] = b"\x55\xaa"
    clusters = -(-len(content) // SECTOR)
    chain = [0xFF0, 0xFFF] + [cluster + 3 for cluster in range(clusters - 1)] + [0xFFF]
    packed = sum(entry << 12 * number for number, entry in enumerate(chain)).to_bytes(FAT_SECTORS * SECTOR, "little")
    for copy in range(2):
        start = (1 + copy * FAT_SECTORS) * SECTOR
        disk[start:start + len(packed)] = packed
    root, data = 19 * SECTOR, 33 * SECTOR
    disk[root:root + 32] = b"DATA    BIN\x20" + bytes(10) + struct.pack("<HHHI", 0, 0x5821, 2, len(content))
    disk[data:data + len(content)] = content
    return bytes(disk)


class FloppyTest(unittest.TestCase):
    def test_mounts_a_disk(self):
        with tempfile.TemporaryDirectory() as directory:
            image = Path(directory) / "a.img"
            image.write_bytes(fat12_disk(CONTENT))
            machine = Machine(kernel=guest_file("drivers/vmlinuz"), initrd=guest_file("drivers/initramfs"),
                              append=f'console=ttyS0 quiet banyan.modules=floppy,vfat banyan.run="{COMMAND}"',
                              extra=("--machine", "pc", "--floppy", image), no_reboot=True)
            with Console(banyan_command(machine)) as console:
                status = console.expect(r"banyan-status: (\d+)", BOOT_SECONDS).group(1)
                self.assertEqual(console.wait(60), 0, console.stderr())
                report(f"a boot and a floppy disk: {console.elapsed():.1f} s")
            self.assertEqual(status, "0", console.transcript)
            self.assertIn(hashlib.sha256(CONTENT).hexdigest(), console.transcript)
            self.assertRegex(console.transcript, r"from-the-guest\r*\n")
            self.assertNotRegex(console.transcript, r"floppy: error|I/O error|floppy0: ")
            self.assertEqual(kernel_complaints(console.transcript), [])
            self.assertIn(b"from-the-guest\n", image.read_bytes())


if __name__ == "__main__":
    unittest.main(verbosity=2)
