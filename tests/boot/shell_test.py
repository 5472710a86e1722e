#!/usr/bin/env python3
"""Debian's kernel with one CPU: boots to a shell, works, shows the guest what QEMU shows it, and powers off.

One boot of each monitor serves all the checks; each check is a subtest, so that one failure does not hide the others.
"""

import hashlib
import os
import tempfile
import time
import unittest
from pathlib import Path

from harness import (BOOT_SECONDS, PROMPT, Console, Machine, banyan_command, kernel_complaints, qemu_command, report)

# What the x86-64 psABI's level v3 needs, by the names that /proc/cpuinfo uses, and what Banyan promises beside it.
PROMISED_FLAGS = set("""
    fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx rdtscp lm
    pni pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt aes xsave avx f16c rdrand lahf_lm abm
    fsgsbase bmi1 avx2 smep bmi2 adx smap sha_ni umip
""".split())

# Flags that only one of the two may show, and why. Everything else has to agree.
ONLY_QEMU = {
    "3dnow": "AMD's, dropped by every CPU of today", "3dnowext": "as 3dnow", "cr8_legacy": "AMD's",
    "acpi": "thermal control by MSR: there is none", "ss": "self-snoop: says nothing to a guest",
    "monitor": "MWAIT is not offered to a guest", "mpx": "withdrawn by Intel", "la57": "no 5-level paging",
    "pku": "no protection keys", "ospke": "as pku", "vaes": "only where the host has it", "svm": "no nested guests",
    "npt": "of svm", "vgif": "of svm",
}
ONLY_BANYAN = {
    "pcid": "TCG has none", "invpcid": "TCG has none", "invpcid_single": "the kernel's word for pcid with invpcid",
    "x2apic": "TCG of QEMU 7.2 has none", "tsc_deadline_timer": "as x2apic", "sha_ni": "as x2apic", "rdseed": "as x2apic",
    "rdpid": "as x2apic", "xsaveerptr": "as x2apic", "xsavec": "as x2apic", "tsc_adjust": "as x2apic", "topoext": "as x2apic",
    "gfni": "TCG has none", "vpclmulqdq": "as gfni", "avx_vnni": "as gfni",
    **dict.fromkeys(("avx512f", "avx512dq", "avx512ifma", "avx512cd", "avx512bw", "avx512vl", "avx512vbmi", "avx512_vbmi2",
                     "avx512_vnni", "avx512_bitalg", "avx512_vpopcntdq", "avx512_bf16"), "as gfni"),
    "constant_tsc": "the invariant counter", "nonstop_tsc": "the invariant counter",
    "tsc_known_freq": "told by the paravirtual leaves, which TCG does not offer",
    "ibrs_enhanced": "an interpreter does not speculate; TCG says nothing of it",
}


class Facts:
    """What a guest sees of its machine."""

    def __init__(self, console):
        self.cpuinfo, _ = console.run("cat /proc/cpuinfo")
        self.log, _ = console.run("dmesg", 60)
        console.run("coldplug", 60)
        self.pci, _ = console.run("lspci")
        drivers, _ = console.run('for d in /sys/bus/pci/devices/*; do '
                                 'echo "${d##*/0000:} $(basename "$(readlink $d/driver)")"; done')
        self.drivers = dict(line.split() for line in drivers.splitlines() if " " in line.strip())

    def flags(self):
        return set(next(line.split(":")[1] for line in self.cpuinfo.splitlines() if line.startswith("flags")).split())

    def devices(self):
        """{vendor:device: (class, revision, driver)}: where a device sits is the board's own affair."""
        devices = {}
        for line in self.pci.splitlines():
            slot, kind, identity, _, revision = line.split()
            devices[identity] = (kind.rstrip(":"), revision.rstrip(")"), self.drivers.get(slot))
        return devices


class ShellTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.disk = Path(directory.name) / "disk.img"
        self.content = os.urandom(1 << 20)
        self.disk.write_bytes(self.content)
        self.machine = Machine(disks=(self.disk,), no_reboot=True)

    def test_one_cpu(self):
        with Console(banyan_command(self.machine)) as console:
            console.expect(PROMPT, BOOT_SECONDS)
            report(f"boot to the shell with 1 CPU: {console.elapsed():.1f} s")
            facts = Facts(console)
            self.check_commands(console)
            self.check_interrupt_key(console)
            self.check_clock(console)
            self.check_disk(console)
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0, console.stderr())
            with self.subTest("the terminal is restored"):
                self.assertTrue(console.terminal_is_restored())
            with self.subTest("standard error holds messages only"):
                self.assertEqual([line for line in console.stderr().splitlines() if not line.startswith("banyan: ")], [])
        with self.subTest("the disk holds what the guest wrote"):
            expected = bytearray(self.content)
            expected[4096:8192] = b"\0" * 4096
            self.assertEqual(self.disk.read_bytes(), bytes(expected))
        self.check_kernel_log(facts)
        self.check_against_qemu(facts)

    def check_commands(self, console):
        numbers = "".join(f"{n}\n" for n in range(1, 20001)).encode()
        cases = {
            "nproc": "1\n",
            "awk 'BEGIN { for (i = 1; i < 1000; i++) x += 1 / i / i; printf \"%.12f\\n\", x }'":
                f"{sum(1 / i / i for i in range(1, 1000)):.12f}\n",
            "seq 1 20000 | sha256sum | cut -c 1-64": hashlib.sha256(numbers).hexdigest() + "\n",
            "seq 1 20000 | gzip | gunzip | md5sum | cut -c 1-32": hashlib.md5(numbers).hexdigest() + "\n",
            "echo '7^77 % 1000007' | bc": f"{7 ** 77 % 1000007}\n",
        }
        for command, output in cases.items():
            with self.subTest(command):
                self.assertEqual(console.run(command, 60), (output, 0))

    def check_interrupt_key(self, console):
        with self.subTest("Ctrl-C ends a command in the guest, and not the monitor"):
            console.send("sleep 1000\n")
            console.expect("sleep 1000\r*\n")
            time.sleep(0.5)
            console.send("\x03")
            console.expect(PROMPT)
            self.assertEqual(console.run("true")[1], 0)

    def check_clock(self, console):
        with self.subTest("the guest's clock is the host's"):
            seconds, _ = console.run("date +%s")
            self.assertLess(abs(int(seconds) - time.time()), 10)
        with self.subTest("sleep lasts as long as it says"):
            start = time.monotonic()
            console.run("sleep 3")
            took = time.monotonic() - start
            self.assertGreater(took, 2.9)
            self.assertLess(took, 8)

    def check_disk(self, console):
        with self.subTest("the guest reads the disk"):
            output, _ = console.run("sha256sum /dev/vda | cut -c 1-64", 60)
            self.assertEqual(output.strip(), hashlib.sha256(self.content).hexdigest())
        with self.subTest("the guest writes the disk"):
            _, status = console.run("dd if=/dev/zero of=/dev/vda bs=4096 seek=1 count=1 conv=fsync 2>/dev/null")
            self.assertEqual(status, 0)

    def check_kernel_log(self, facts):
        with self.subTest("the kernel does not complain"):
            self.assertIn("Linux version", facts.log)
            self.assertEqual(kernel_complaints(facts.log), [])

    def check_against_qemu(self, banyan):
        with Console(qemu_command(self.machine)) as console:
            console.expect(PROMPT, BOOT_SECONDS)
            qemu = Facts(console)
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0, console.stderr())
        self.compare_flags(banyan.flags(), qemu.flags())
        self.compare_devices(banyan.devices(), qemu.devices())

    def compare_flags(self, banyan, qemu):
        report(f"CPU flags of Banyan alone: {' '.join(sorted(banyan - qemu)) or 'none'}")
        report(f"CPU flags of QEMU alone: {' '.join(sorted(qemu - banyan)) or 'none'}")
        with self.subTest("Banyan offers what it promises"):
            self.assertEqual(sorted(PROMISED_FLAGS - banyan), [])
        with self.subTest("Banyan offers what QEMU does, but for what has a reason"):
            self.assertEqual(sorted(qemu - banyan - ONLY_QEMU.keys()), [])
        with self.subTest("QEMU offers what Banyan does, but for what has a reason"):
            self.assertEqual(sorted(banyan - qemu - ONLY_BANYAN.keys()), [])

    def compare_devices(self, banyan, qemu):
        shared = banyan.keys() & qemu.keys()
        report(f"PCI devices of both: {' '.join(sorted(shared))}")
        with self.subTest("both show the disk"):
            self.assertIn("1af4:1042", shared)
        with self.subTest("both show the network card"):
            self.assertIn("1af4:1041", shared)
        for identity in sorted(shared):
            with self.subTest(f"class, revision and driver of {identity}"):
                self.assertEqual(banyan[identity], qemu[identity])


if __name__ == "__main__":
    unittest.main(verbosity=2)
