#!/usr/bin/env python3
"""Debian's kernel boots on the JIT while the interpreter repeats a part of what the JIT does; see tests/lockstep/boot."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, SLOW, guest_file, report, vmm_path

ENOUGH = 100_000
WORK = "dmesg | sort | sha256sum; find /sys/devices | sort -r | md5sum; poweroff -f"


def cpu_model():
    """The best level of the psABI that this host has: `max` has RDRAND, which never says the same again."""
    flags = re.search(r"^flags.*", Path("/proc/cpuinfo").read_text(), re.MULTILINE).group().split()
    return "x86-64-v3" if {"avx2", "bmi2", "fma", "movbe"} <= set(flags) else "x86-64"


def boot(*options):
    with tempfile.NamedTemporaryFile() as console:
        command = [vmm_path().parent / "tests/lockstep/lockstep_boot", "--cpu", cpu_model(), "--console", console.name,
                   "--kernel", guest_file("kernel/vmlinuz"), "--initrd", guest_file("shell/initramfs"),
                   "--append", f'console=ttyS0 banyan.run="{WORK}"', *options]
        result = subprocess.run(command, capture_output=True, text=True, timeout=BOOT_SECONDS * SLOW)
        return result, Path(console.name).read_text(errors="replace")


class LockstepBootTest(unittest.TestCase):
    def test_jit_and_interpreter_agree(self):
        result, console = boot("--at-least", str(ENOUGH))
        report(result.stdout.splitlines()[0] if result.stdout else result.stderr)
        self.assertEqual(result.returncode, 0, result.stdout[:4000] + result.stderr)
        self.assertRegex(console, r"(?m)^[0-9a-f]{32}  -")
        self.assertIn("Power down", console)

    def test_a_wrong_instruction_is_found(self):
        """In early and in late code; the report says where, and what differs."""
        for spoil_at in ("1000", "30000"):
            with self.subTest(spoil_at):
                result, _ = boot("--spoil-at", spoil_at)
                self.assertEqual(result.returncode, 1, result.stdout[:4000] + result.stderr)
                self.assertRegex(result.stdout, r"(?m)^comparison \d+, \d+ instructions from the guest's instruction \d+ on")
                self.assertIn("JIT and interpreter differ:", result.stdout)
                self.assertRegex(result.stdout, r"the code at its start:\n    [0-9a-f]+  [0-9a-f]+ +\w+")


if __name__ == "__main__":
    unittest.main(verbosity=2)
