#!/usr/bin/env python3
"""What a kernel without firmware reads of its machine: CPUs and interrupts by the MP tables, the generation ID by ACPI."""

import unittest

from harness import BOOT_SECONDS, Console, Machine, banyan_command, guest_file, kernel_complaints, report


def boot(words, modules, command, *extra):
    """The console of a boot that runs the command and reboots, which ends the run."""
    machine = Machine(kernel=guest_file("drivers/vmlinuz"), initrd=guest_file("drivers/initramfs"), cpus=2,
                      append=f'console=ttyS0 quiet {words} banyan.modules={modules} '
                             f'banyan.run="{command}; echo banyan-ended: $?; sync; reboot -f"',
                      extra=("--machine", "pc", *extra), no_reboot=True)
    with Console(banyan_command(machine)) as console:
        status = console.expect(r"banyan-ended: (\d+)", BOOT_SECONDS).group(1)
        assert console.wait(60) == 0, console.stderr()
        report(f"a boot with '{words}': {console.elapsed():.1f} s")
    return status, console.transcript


class TablesTest(unittest.TestCase):
    def test_mp_tables_stand_in_for_acpi(self):
        status, shown = boot("acpi=off", "nvme", "nproc; dd if=/dev/nvme0n1 of=/dev/null bs=64k count=16; "
                             "dmesg | grep -e MPTABLE -e IRQ.transform; cat /proc/interrupts",
                             "--disk", f"{guest_file('debian/disk.img')},bus=nvme,readonly=on")
        self.assertEqual(status, "0", shown)
        self.assertIn("MPTABLE: OEM ID: BANYAN", shown)
        self.assertRegex(shown, r"(?m)^2\r*$")
        self.assertRegex(shown, r"PCI->APIC IRQ transform: INT A -> IRQ \d+")
        self.assertRegex(shown, r"IO-APIC\s+4-edge\s+ttyS0")
        self.assertEqual(kernel_complaints(shown), [])

    def test_acpi_names_the_generation_id(self):
        status, shown = boot("", "floppy", "cat /sys/bus/acpi/devices/BNYN*/modalias; "
                             "ls -d /sys/bus/acpi/drivers/vmgenid/BNYN*")
        self.assertEqual(status, "0", shown)
        self.assertIn("acpi:BNYN0001:VM_GEN_COUNTER:", shown)
        self.assertRegex(shown, r"/sys/bus/acpi/drivers/vmgenid/BNYN0001:00")
        self.assertEqual(kernel_complaints(shown), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
