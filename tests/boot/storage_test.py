#!/usr/bin/env python3
"""Debian's kernel with a disk on each bus and CD-ROM drives on two: what it copies from the discs to the disks is there."""

import hashlib
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, Console, Machine, banyan_command, guest_file, kernel_complaints, report

BUSES = ("ahci", "ide", "scsi")
# All that the drivers of disks and file systems say when something is not right.
ERRORS = re.compile(r"ata\d+.*(exception|error|failed|frozen|timeout|reset)|I/O error|critical|EXT4-fs error|blk_update|"
                    r"sense key|Sense Key|rejecting|offline", re.IGNORECASE)

# Each disk gets a copy from both discs, and is read again from its device.
SCRIPT = """
for disc in /dev/sr0 /dev/sr1; do mkdir -p /mnt$disc && mount -t iso9660 -o ro $disc /mnt$disc || exit 10; done
for bus in ahci ide scsi; do
    device=$(findfs LABEL=$bus) && mkdir -p /$bus && mount -t ext4 $device /$bus || exit 11
    cp /mnt/dev/sr0/payload /$bus/first && cp /mnt/dev/sr1/payload /$bus/second && sync || exit 12
done
echo 3 >/proc/sys/vm/drop_caches
sha256sum /ahci/first /ahci/second /ide/first /ide/second /scsi/first /scsi/second || exit 13
umount /ahci /ide /scsi || exit 14
"""


def host(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class StorageTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.payload = os.urandom(1 << 20)
        (self.directory / "disc").mkdir()
        (self.directory / "disc/payload").write_bytes(self.payload)
        (self.directory / "disc/script").write_text(SCRIPT)
        self.iso = self.directory / "disc.iso"
        host("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", self.iso, self.directory / "disc")
        self.disks = {bus: self.directory / f"{bus}.img" for bus in BUSES}
        for bus, image in self.disks.items():
            with image.open("wb") as file:
                file.truncate(16 << 20)
            host("mke2fs", "-q", "-F", "-t", "ext4", "-L", bus, image)

    def machine(self):
        return Machine(memory="256M", kernel=guest_file("storage/vmlinuz"), initrd=guest_file("storage/initramfs"),
                       append="console=ttyS0 banyan.modules=auto banyan.run="
                              "\"mkdir /disc && mount -t iso9660 /dev/sr0 /disc && sh /disc/script\"",
                       disks=tuple(f"{image},bus={bus}" for bus, image in self.disks.items()), no_reboot=True,
                       extra=("--machine", "pc", "--cdrom", str(self.iso), "--cdrom", f"{self.iso},bus=ide"))

    def test_copies_from_discs_to_disks(self):
        with Console(banyan_command(self.machine())) as console:
            status = console.expect(r"banyan-status: (\d+)", BOOT_SECONDS).group(1)
            self.assertEqual(console.wait(60), 0, console.stderr())
            report(f"a boot with disks on {', '.join(BUSES)}: {console.elapsed():.1f} s")
        log = console.transcript
        self.assertEqual(status, "0", log)
        self.assertEqual(log.count(hashlib.sha256(self.payload).hexdigest()), 2 * len(BUSES), log)
        for driver in (r"ahci 0000:00:1f\.2: AHCI", r"ata_piix|PATA max", r"scsi host\d+: Virtio SCSI HBA"):
            self.assertRegex(log, driver)
        self.assertEqual(kernel_complaints(log), [])
        self.assertEqual([line for line in log.splitlines() if ERRORS.search(line)], [])
        for image in self.disks.values():
            host("e2fsck", "-fn", image)
            for name in ("first", "second"):
                copy = self.directory / "copy"
                host("debugfs", "-R", f"dump {name} {copy}", image)
                self.assertEqual(copy.read_bytes(), self.payload)


if __name__ == "__main__":
    unittest.main(verbosity=2)
