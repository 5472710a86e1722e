#!/usr/bin/env python3
"""A guest that stops telling its watchdog that all is well is reset, and finds out why; or is powered off."""

import unittest

from harness import BOOT_SECONDS, Console, Machine, banyan_command, guest_file, kernel_complaints, report

CARD_RESET = 0x20  # WDIOF_CARDRESET of Linux's watchdog interface
LOAD = "modprobe i6300esb heartbeat=4"
STATUS = "cat /sys/class/watchdog/watchdog0/bootstatus"


def machine(*extra):
    return Machine(kernel=guest_file("drivers/vmlinuz"), initrd=guest_file("drivers/initramfs"),
                   append="console=ttyS0 quiet", disks=(f"{guest_file('debian/disk.img')},readonly=on",), extra=extra)


class WatchdogTest(unittest.TestCase):
    def test_resets_a_guest_that_hangs(self):
        with Console(banyan_command(machine("--watchdog", "reset"))) as console:
            console.expect(console.prompt, BOOT_SECONDS)
            self.assertEqual(console.run(LOAD), ("", 0))
            self.assertEqual(console.run(STATUS), ("0\n", 0))
            self.check_wdctl(console)
            # Opened, and closed without the letter that would stop it.
            console.send("echo >/dev/watchdog\n")
            console.expect("watchdog did not stop", 60)
            console.expect(console.prompt, 60)
            console.expect(console.prompt, BOOT_SECONDS)
            report(f"two boots with a watchdog's reset between: {console.elapsed():.1f} s")
            self.assertEqual(console.run(LOAD), ("", 0))
            self.assertEqual(console.run(STATUS), (f"{CARD_RESET}\n", 0))
            self.assertEqual(kernel_complaints(console.run("dmesg", 60)[0]), [])
            console.send("poweroff -f\n")
            self.assertEqual(console.wait(60), 0, console.stderr())

    def check_wdctl(self, console):
        console.run("modprobe -a virtio_pci virtio_blk; mkdir -p /disk; mount -t ext4 -o ro /dev/vda /disk", 60)
        console.run("mount -o bind /dev /disk/dev; mount -o bind /sys /disk/sys; mount -o bind /proc /disk/proc")
        shown, status = console.run("chroot /disk wdctl /dev/watchdog0", 60)
        self.assertEqual(status, 0, shown)
        self.assertRegex(shown, r"Identity:\s+i6300ESB timer")
        self.assertRegex(shown, r"Timeout:\s+4 seconds")
        self.assertRegex(shown, r"MAGICCLOSE\s+Supports magic close char")

    def test_powers_off_a_guest_that_hangs(self):
        with Console(banyan_command(machine("--watchdog", "poweroff"))) as console:
            console.expect(console.prompt, BOOT_SECONDS)
            self.assertEqual(console.run(LOAD), ("", 0))
            console.send("echo >/dev/watchdog\n")
            self.assertEqual(console.wait(60), 0, console.stderr())


if __name__ == "__main__":
    unittest.main(verbosity=2)
