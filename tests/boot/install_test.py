#!/usr/bin/env python3
"""An unattended installation of Debian by its own installer, by UEFI, onto an empty disk, and a boot from that disk.

It takes long (some 190 packages are unpacked and configured inside), so `make install-test` runs it, not `make test`. The
installer's steps show on the serial port; scripts/guests/install.sh says where they come from.
"""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from firmware import FirmwareConsole, FirmwareMachine
from harness import guest_file, kernel_complaints, report

INSTALL_SECONDS = 7200
# What the log shows, in this order, and how long it may take to come.
STEPS = (
    ("banyan-install: the repository is on /dev/", 600),
    ("banyan-install: partitioning /dev/", 900),
    ("Installing the base system", 600),
    ("banyan-install: installing GRUB", INSTALL_SECONDS),
    ("banyan-install: finished", 1800),
)


class InstallTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.disk = Path(directory.name) / "installed.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.disk, "4G"], check=True)

    def machine(self, *more_disks):
        disks = ((f"{self.disk},format=qcow2", "virtio"), *more_disks)
        return FirmwareMachine(firmware="uefi", memory="1G", disks=disks)

    def test_installs_and_boots_what_it_installed(self):
        repository = (f"{guest_file('install/install.iso')},format=raw,readonly=on", "virtio")
        with FirmwareConsole(self.machine(repository)) as console:
            for step, seconds in STEPS:
                console.expect(step, seconds)
                report(f"{console.elapsed():7.1f} s: {step}")
            self.assertEqual(console.wait(120), 0, console.stderr())
        with FirmwareConsole(self.machine()) as console:
            console.expect("login: ", 900)
            report(f"{console.elapsed():7.1f} s: the new system's login prompt")
            console.send("root\n")
            console.expect("Password: ", 60)
            console.send("banyan\n")
            console.expect(r"root@banyan:[^#]*# ", 120)
            console.send("PS1='banyan:/# '; bind 'set enable-bracketed-paste off'; dmesg -n 1\n")
            console.expect(r"banyan:/# $", 60)
            self.check_system(console)
            console.send("poweroff\n")
            self.assertEqual(console.wait(300), 0, console.stderr())
        subprocess.run(["qemu-img", "check", "-q", self.disk], check=True)

    def check_system(self, console):
        with self.subTest("UEFI started it"):
            self.assertEqual(console.run("test -d /sys/firmware/efi", 60)[1], 0)
        with self.subTest("its packages are whole"):
            self.assertEqual(console.run("dpkg --audit", 300), ("", 0))
        with self.subTest("no service failed"):
            self.assertEqual(console.run("systemctl --failed --no-legend --plain --no-pager", 120)[0], "")
        with self.subTest("the kernel is the one that was installed"):
            kernels = console.run("dpkg-query -W -f '${Package}\\n' 'linux-image-[0-9]*'; uname -r", 120)[0].split()
            self.assertIn(f"linux-image-{kernels[-1]}", [re.sub("-unsigned$", "", name) for name in kernels[:-1]])
        with self.subTest("the kernel does not complain"):
            self.assertEqual(kernel_complaints(console.run("dmesg --color=never", 120)[0]), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
