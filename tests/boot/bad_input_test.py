#!/usr/bin/env python3
"""Bad input: each case gets one line, "banyan: what: why; what to do", the right status, and no file is touched.

No guest runs here: what is wrong has to be seen before one starts.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import SLOW, guest_file, vmm_path

CANNOT, USAGE = 1, 2
NOBODY = 65534
SETUP_HEADER = 0x1F1  # of a bzImage: Documentation/arch/x86/boot.rst


class BadInputTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.directory.chmod(0o755)  # one case runs as another user
        self.vmm = vmm_path()
        self.kernel = Path(guest_file("kernel/vmlinuz"))
        self.initrd = Path(guest_file("shell/initramfs"))
        self.image = self.kernel.read_bytes()

    def file(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return path

    def fingerprints(self):
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), stat.S_IMODE(path.stat().st_mode))
                for path in files + [self.kernel, self.initrd]}

    def command(self, *options, kernel=None, initrd=None, memory="512M", append="console=ttyS0"):
        return [self.vmm, "run", "--memory", memory, "--kernel", kernel or self.kernel,
                "--initrd", initrd or self.initrd, "--append", append, *options]

    def check(self, command, status, *words, **popen):
        """Each of the words has to be in the message: it must name what it is about."""
        before = self.fingerprints()
        command = [str(word) for word in command]
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                    errors="replace", timeout=20 * SLOW, **popen)
        except subprocess.TimeoutExpired as error:
            self.fail(f"{command} was not refused; it printed {error.stdout} {error.stderr}")
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "", "the console is the guest's")
        self.assertRegex(result.stderr, r"\Abanyan: [^\n:]+: [^\n]+; [^\n]+\n\Z")
        for word in words:
            self.assertIn(str(word), result.stderr)
        self.assertEqual(self.fingerprints(), before, "a file has changed")

    # The command line itself.

    def test_wrong_usage(self):
        cases = {
            "no CPUs": ["--cpus", "0"],
            "fewer CPUs than none": ["--cpus", "-1"],
            "CPUs that are no number": ["--cpus", "two"],
            "no memory": ["--memory", "0"],
            "memory that is no size": ["--memory", "plenty"],
            "more memory than a machine can have": ["--memory", "900T"],
            "a size beyond 64 bits": ["--memory", "99999999999999999999G"],
            "an option that does not exist": ["--no-such-option"],
            "an engine that does not exist": ["--engine", "steam"],
            "an option of a disk that does not exist": ["--disk", f"{self.initrd},colour=green"],
        }
        for name, options in cases.items():
            with self.subTest(name):
                self.check([self.vmm, "run", "--kernel", self.kernel, *options], USAGE)

    def test_an_option_without_its_value(self):
        self.check([self.vmm, "run", "--kernel"], USAGE, "--kernel")

    def test_nothing_to_boot(self):
        self.check([self.vmm, "run", "--memory", "64M"], USAGE, "--kernel")

    def test_a_command_that_does_not_exist(self):
        self.check([self.vmm, "fly"], USAGE, "fly")

    # Kernels.

    def test_kernels_that_are_none(self):
        header = bytes(SETUP_HEADER)
        cases = {
            "an empty file": b"",
            "a text": b"this is not a kernel\n" * 100,
            "zeros": bytes(1 << 20),
            "a boot sector alone": header + b"\0" * (510 - len(header)) + b"\x55\xaa",
            "an ELF magic alone": b"\x7fELF",
            "an ELF file without an entry for PVH": Path("/bin/true").read_bytes(),
        }
        for name, content in cases.items():
            with self.subTest(name):
                kernel = self.file("kernel", content)
                self.check(self.command(kernel=kernel), CANNOT, kernel)

    def test_truncated_kernels(self):
        for name, length in {"in the header": 0x210, "after the setup": 0x8000, "in the middle": len(self.image) // 2,
                             "short of one page": len(self.image) - 4096}.items():
            with self.subTest(name):
                kernel = self.file("truncated", self.image[:length])
                self.check(self.command(kernel=kernel), CANNOT, kernel)

    def test_a_truncated_elf_kernel(self):
        content = Path(guest_file("kernel/vmlinux")).read_bytes()
        for length in (64, 4096, len(content) // 2):
            with self.subTest(f"{length} bytes"):
                kernel = self.file("vmlinux", content[:length])
                self.check(self.command(kernel=kernel), CANNOT, kernel)

    # Files that are not there, or are something else.

    def test_missing_files(self):
        missing = self.directory / "missing"
        for option in ("kernel", "initrd"):
            with self.subTest(option):
                self.check(self.command(**{option: missing}), CANNOT, missing)
        with self.subTest("disk"):
            self.check(self.command("--disk", missing), CANNOT, missing)
            self.assertFalse(missing.exists())

    def test_directories(self):
        for option in ("kernel", "initrd"):
            with self.subTest(option):
                self.check(self.command(**{option: self.directory}), CANNOT, self.directory)
        with self.subTest("disk"):
            self.check(self.command("--disk", self.directory), CANNOT, self.directory)

    def test_disks_shorter_than_a_sector(self):
        for length in (0, 1, 511):
            with self.subTest(f"{length} bytes"):
                disk = self.file("short.img", bytes(length))
                self.check(self.command("--disk", disk), CANNOT, disk)

    def test_a_disk_that_may_not_be_written(self):
        """As a user whom file modes bind: root may write to every file."""
        disk = self.file("readonly.img", bytes(1 << 20))
        disk.chmod(0o444)
        user = {}
        if os.getuid() == 0:
            # What that user needs has to be where that user may go.
            for name in ("vmm", "kernel", "initrd"):
                source = getattr(self, name)
                copy = self.directory / f"copy-of-{name}"
                shutil.copy(source, copy)
                copy.chmod(0o755)
                setattr(self, name, copy)
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.check(self.command("--disk", disk), CANNOT, disk, "readonly=on", cwd=self.directory, **user)

    # What does not fit.

    def test_an_initrd_that_does_not_fit(self):
        initrd = self.directory / "huge"
        with initrd.open("wb") as file:
            file.truncate(600 << 20)
        self.check(self.command(initrd=initrd), CANNOT, initrd)

    def test_memory_too_small_for_the_kernel(self):
        self.check(self.command(memory="4M"), CANNOT, "memory")

    def test_a_command_line_that_is_too_long(self):
        self.check(self.command(append="x" * 100_000), CANNOT, "command line")


if __name__ == "__main__":
    unittest.main(verbosity=2)
