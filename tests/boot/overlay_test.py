#!/usr/bin/env python3
"""Debian's disk under a qcow2 overlay: what a guest writes is in the overlay at the next boot, and the base is as it was."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, Console, Machine, banyan_command, guest_file, kernel_complaints, report, vmm_path

FIRST = ("echo kept >/root/mark && head -c 4194304 /dev/urandom >/root/random && sha256sum /root/random >/root/sum && "
         "rm -rf /usr/share/doc && sync && fstrim /")
SECOND = "cat /root/mark && sha256sum -c /root/sum && echo more >>/root/mark"


def host(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


class OverlayTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.base = Path(guest_file("debian/disk.img"))
        self.overlay = self.directory / "overlay.qcow2"
        host(vmm_path(), "image", "create", "-b", self.base, "-F", "raw", self.overlay)

    def run_in_guest(self, command):
        machine = Machine(append=f'console=ttyS0 quiet root=/dev/vda banyan.run="{command}"',
                          disks=(f"{self.overlay},format=qcow2",), no_reboot=True)
        with Console(banyan_command(machine)) as console:
            status = console.expect(r"banyan-status: (\d+)", BOOT_SECONDS).group(1)
            self.assertEqual(console.wait(60), 0, console.stderr())
            report(f"a boot from an overlay: {console.elapsed():.1f} s")
        self.assertEqual(status, "0", console.transcript)
        self.assertEqual(kernel_complaints(console.transcript), [])
        return console.transcript

    def test_writes_stay_in_the_overlay(self):
        before = (self.base.stat().st_mtime_ns, self.base.stat().st_size, self.base.stat().st_blocks)

        self.run_in_guest(FIRST)
        self.assertRegex(self.run_in_guest(SECOND), r"kept\r*\n(.*\n)*/root/random: OK")

        after = (self.base.stat().st_mtime_ns, self.base.stat().st_size, self.base.stat().st_blocks)
        self.assertEqual(after, before, "the base has changed")
        host("qemu-img", "check", self.overlay)
        disk = self.directory / "disk.raw"
        host("qemu-img", "convert", "-O", "raw", self.overlay, disk)
        host("e2fsck", "-fn", disk)
        self.assertEqual(host("debugfs", "-R", "cat /root/mark", disk), "kept\nmore\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
