#!/usr/bin/env python3
"""Debian on an ext4 disk: systemd up to the login prompt, a session, and a reboot that ends the run."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import Console, Machine, banyan_command, guest_file, kernel_complaints, report

LOGIN_SECONDS = 900
ROOT_PROMPT = r"root@banyan:[^#]*# "


class DebianTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.disk = Path(directory.name) / "disk.img"
        subprocess.run(["cp", "--sparse=always", guest_file("debian/disk.img"), self.disk], check=True)

    def test_boots_to_a_login_and_keeps_its_disk(self):
        machine = Machine(append="console=ttyS0 root=/dev/vda rw", disks=(self.disk,), no_reboot=True)
        with Console(banyan_command(machine)) as console:
            console.expect("login: ", LOGIN_SECONDS)
            report(f"boot of Debian to its login prompt: {console.elapsed():.1f} s")
            console.send("root\n")
            console.expect(ROOT_PROMPT, 120)
            # A plain line for the harness's own marks: no colours, no bracketed paste.
            console.send("PS1='banyan:/# '; bind 'set enable-bracketed-paste off'; dmesg -n 1\n")
            console.expect(r"banyan:/# $", 60)
            self.check_system(console)
            console.send("systemctl reboot\n")
            console.expect("reboot: Restarting system", 300)
            self.assertEqual(console.wait(30), 0, console.stderr())
        self.check_disk()

    def check_system(self, console):
        with self.subTest("this is Debian 12"):
            self.assertIn("VERSION_CODENAME=bookworm\n", console.run("cat /etc/os-release", 60)[0])
        with self.subTest("its root is the disk"):
            self.assertEqual(console.run("findmnt -no SOURCE,FSTYPE /", 60)[0].split(), ["/dev/vda", "ext4"])
        with self.subTest("no service failed"):
            self.assertEqual(console.run("systemctl --failed --no-legend --plain --no-pager", 120)[0], "")
        with self.subTest("it writes to the disk"):
            self.assertEqual(console.run("echo kept >/root/mark && sync", 60), ("", 0))
        with self.subTest("the kernel does not complain"):
            self.assertEqual(kernel_complaints(console.run("dmesg --color=never", 120)[0]), [])

    def check_disk(self):
        """The host reads what the guest wrote, and finds the file system whole."""
        with self.subTest("what was written is there"):
            read = subprocess.run(["debugfs", "-R", "cat /root/mark", self.disk], capture_output=True, text=True)
            self.assertEqual(read.stdout, "kept\n", read.stderr)
        with self.subTest("the file system is whole"):
            check = subprocess.run(["e2fsck", "-fn", self.disk], capture_output=True, text=True)
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
