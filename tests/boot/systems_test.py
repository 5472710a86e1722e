#!/usr/bin/env python3
"""Systems that firmware boots, each to where it takes commands or says that it is up.

Each is a test of its own: systems_test.py SystemsTest.test_NAME. scripts/guests/prepare.sh makes their media, and
BANYAN_PEER=qemu runs them under QEMU, to tell a wrong medium from a wrong machine.
"""

import subprocess
import tempfile
import unittest
from pathlib import Path

from firmware import FirmwareConsole, FirmwareMachine
from harness import guest_file, kernel_complaints, report

SHELL_PROMPT = r"banyan:/\S*# $"


class SystemsTest(unittest.TestCase):
    def boot(self, **machine):
        console = FirmwareConsole(FirmwareMachine(**machine))
        console.__enter__()
        self.addCleanup(console.__exit__)
        return console

    def copy(self, name):
        """A guest's disk to write to: the prepared one stays as it is."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        copy = Path(directory.name) / Path(name).name
        subprocess.run(["cp", "--sparse=always", guest_file(name), copy], check=True)
        return copy

    @staticmethod
    def stick(name):
        """A guest's medium as a disk that cannot be written, as a USB stick would be."""
        return ((f"{guest_file(name)},format=raw,readonly=on", "virtio"),)

    def up(self, console):
        report(f"{self.id().rsplit('.', 1)[-1]}: {console.elapsed():.1f} s")

    # Firmware alone.

    def test_seabios(self):
        console = self.boot(memory="64M")
        console.expect(r"SeaBIOS \(version 1\.16", 30)
        console.expect("No bootable device", 60)
        self.up(console)

    def test_uefi_shell(self):
        """OVMF finds nothing to boot, starts its shell, and that runs startup.nsh, which writes to the disk."""
        disk = self.copy("uefi-shell/shell.img")
        console = self.boot(firmware="uefi", disks=((disk, "virtio"),))
        console.expect("UEFI Interactive Shell", 180)
        console.expect(r"banyan: the shell runs FS0:\\startup.nsh", 60)
        console.expect(r"round 3(.*\n)*.*kept(.*\n)*.*banyan: done", 60)
        console.expect("Shell> ", 30)
        self.up(console)
        read = subprocess.run(["mtype", "-i", disk, "::mark.txt"], capture_output=True)
        self.assertIn("kept", read.stdout.decode("utf-16"))

    def check_u_boot(self, rom, **machine):
        console = self.boot(firmware=guest_file(f"u-boot/{rom}"), **machine)
        console.expect("Hit any key to stop autoboot", 60)
        console.send(" ")
        console.expect("=> ", 30)
        console.send("version\r")
        console.expect(r"U-Boot 2023\.01", 10)
        console.expect("=> ", 10)
        self.up(console)

    def test_u_boot(self):
        self.check_u_boot("u-boot64.rom")

    def test_u_boot32(self):
        """Without a VGA, whose BIOS U-Boot starts with the segment limits of real mode. It reads its registers above 64 KiB,
        which faults on a processor; QEMU's TCG does not check limits."""
        self.check_u_boot("u-boot32.rom", vga=False)

    # Boot loaders.

    def check_rescue(self, **medium):
        """GRUB's rescue medium knows of no serial port: it is SeaBIOS that brings its screen and keyboard there."""
        console = self.boot(**medium)
        console.expect(r"GNU GRUB +version 2\.06", 60)
        console.send("c")
        console.expect("grub> ", 30)
        console.send("ls\r")
        console.expect(r"\((cd|fd|hd)\d*", 30)
        console.expect("grub> ", 30)
        self.up(console)

    def test_grub_rescue_cdrom(self):
        self.check_rescue(cdroms=(guest_file("rescue/cdrom.iso"),))

    def test_grub_rescue_floppy(self):
        self.check_rescue(floppies=(guest_file("rescue/floppy.img"),))

    def check_ipxe(self, seconds, **machine):
        console = self.boot(**machine)
        console.expect("iPXE initialising devices", seconds)
        console.expect("Press Ctrl-B", 60)
        console.send("\x02")
        console.expect("iPXE> ", 30)
        console.type("cpuid --ext 29")  # whether there is long mode
        console.expect("iPXE> ", 30)
        console.type("iseq ${platform} efi && echo by efi || echo by bios")
        console.expect(r"^by (efi|bios)\b", 30)
        self.up(console)

    def test_ipxe(self):
        self.check_ipxe(60, cdroms=(guest_file("ipxe/ipxe.iso"),))

    def test_ipxe_uefi(self):
        self.check_ipxe(180, firmware="uefi", disks=((self.copy("ipxe/ipxe-efi.img"), "virtio"),))

    def test_isolinux(self):
        console = self.boot(cdroms=(guest_file("syslinux/syslinux.iso"),))
        console.expect(r"ISOLINUX 6\.04", 60)
        console.expect("boot: ", 30)
        console.send("hdt\r")
        console.expect("Hardware Detection Tool", 60)
        console.expect(r"MENU: ACPI menu done", 120)
        self.up(console)

    def test_refind(self):
        console = self.boot(firmware="uefi", disks=((self.copy("refind/refind.img"), "virtio"),))
        console.expect("rEFInd - ", 180)
        console.expect("Shut Down Computer|Reboot Computer|About rEFInd", 60)
        self.up(console)

    # Kernels that are not Linux.

    def check_memtest(self, firmware, seconds):
        console = self.boot(firmware=firmware, memory="64M" if firmware == "bios" else "128M",
                            disks=self.stick("memtest/memtest.iso"))
        console.expect("Memtest86\\+ v6", seconds)
        console.expect(r"#4 +\[", 300)
        console.expect(r"Errors: (\d+)", 60)
        self.up(console)
        self.assertNotRegex(console.transcript, r"Errors: [1-9]")

    def test_memtest(self):
        self.check_memtest("bios", 60)

    def test_memtest_uefi(self):
        self.check_memtest("uefi", 180)

    def test_gnu_mach(self):
        console = self.boot(disks=self.stick("mach/mach.iso"))
        console.expect("GNU Mach 1.8", 60)
        console.expect("No bootstrap code loaded with the kernel", 60)
        self.up(console)

    def test_invaders(self):
        """A game on the bare machine, as a multiboot kernel: its invaders move on the screen."""
        console = self.boot(disks=self.stick("invaders/invaders.iso"))
        first = console.expect_screen(r"-\*-.*-\*-", 60)
        for _ in range(50):
            if console.expect_screen(r"-\*-", 10) != first:
                break
        else:
            self.fail("the invaders stand still")
        self.up(console)

    def test_xen(self):
        console = self.boot(memory="768M", disks=self.stick("xen/xen.iso"))
        console.expect(r"Xen version 4\.17", 60)
        console.expect("banyan-guest: hypervisor xen, control_d", 300)
        console.expect(r"Domain-0 +0 +384 +1 +r-----", 60)
        console.expect("banyan-status: 0", 30)
        self.up(console)

    # Linux.

    def check_installer(self, **machine):
        """With less than 1 GiB it would first say that it is short of memory."""
        console = self.boot(memory="1G", **machine)
        console.expect("Starting system log daemon", 300)
        console.expect("Select a language", 300)
        self.up(console)

    def test_debian_installer_bios(self):
        self.check_installer(cdroms=(guest_file("installer/installer.iso"),))

    def test_debian_installer_uefi(self):
        self.check_installer(firmware="uefi", disks=self.stick("installer/installer.iso"))

    def check_debian(self, firmware, bus):
        console = self.boot(firmware=firmware, memory="512M", disks=((self.copy("bootable/disk.img"), bus),))
        console.expect("Linux version 6.1", 180)
        console.expect("login: ", 600)
        console.send("root\n")
        console.expect(r"root@banyan:[^#]*# ", 120)
        console.send("PS1='banyan:/# '; bind 'set enable-bracketed-paste off'; dmesg -n 1\n")
        console.expect(SHELL_PROMPT, 60)
        self.up(console)
        efi = console.run("test -d /sys/firmware/efi", 60)[1] == 0
        self.assertEqual(efi, firmware == "uefi")
        self.assertEqual(console.run("findmnt -no FSTYPE /", 60)[0].strip(), "ext4")
        self.assertEqual(kernel_complaints(console.run("dmesg --color=never", 120)[0]), [])

    def test_debian_bios_virtio(self):
        self.check_debian("bios", "virtio")

    def test_debian_bios_ahci(self):
        self.check_debian("bios", "ahci")

    def test_debian_uefi_virtio(self):
        self.check_debian("uefi", "virtio")

    def test_debian_uefi_nvme(self):
        self.check_debian("uefi", "nvme")


if __name__ == "__main__":
    unittest.main(verbosity=2)
