#!/usr/bin/env python3
"""A host's disk that is full: the VM stands still, goes on when there is room, and has lost nothing.

The host's disk is a small file system in memory, which a user may mount in a namespace of its own.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, SLOW, Console, Machine, banyan_command, kernel_complaints, own_directory, vmm_path
from qmp import Qmp, run_directory

M = 1 << 20
WRITTEN = 6 * M
CONTENT = (b"banyan\n" * (WRITTEN // 7 + 1))[:WRITTEN]
WRITE = f"yes banyan | head -c {WRITTEN} | dd of=/dev/vda bs=65536 conv=fsync 2>/dev/null && echo all-writt''en"


def await_stderr(console, text, seconds=60):
    deadline = time.monotonic() + seconds * SLOW
    while text not in console.stderr():
        if time.monotonic() > deadline:
            raise AssertionError(f"no {text!r} on standard error: {console.stderr()}")
        time.sleep(0.05)


class DiskFullTest(unittest.TestCase):
    def setUp(self):
        self.room = own_directory(self)
        own_directory(self, "XDG_RUNTIME_DIR")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", self.room], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.room], check=True)
        self.ballast = self.room / "ballast"
        self.ballast.write_bytes(bytes(5 * M))

    def start(self, name, image_format):
        image = self.room / name
        subprocess.run([vmm_path(), "image", "create", "-f", image_format, image, "16M"], check=True)
        machine = Machine(append="console=ttyS0 banyan.modules=virtio_pci,virtio_blk",
                          disks=(f"{image},format={image_format}",), no_reboot=True)
        console = Console(banyan_command(machine))
        return image, console

    def fill(self, console):
        console.expect("banyan:/# ", BOOT_SECONDS)
        console.send(WRITE + "\n")
        await_stderr(console, "the VM is paused and goes on by itself when there is room")
        self.assertIn("No space left on device", console.stderr())

    def check_that_nothing_is_lost(self, name, image_format):
        image, console = self.start(name, image_format)
        with console:
            self.fill(console)
            # It stands still: nothing comes, and nothing is tried in vain without a pause.
            time.sleep(1)
            self.assertNotIn("all-written", console.transcript)
            self.assertEqual(console.stderr().count("No space left on device"), 1)
            self.ballast.unlink()
            await_stderr(console, "the VM goes on")
            console.expect("all-written", 60)
            self.assertEqual(console.run("dmesg | grep -c 'I/O error'")[0], "0\n")
            self.assertEqual(kernel_complaints(console.run("dmesg")[0]), [])
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0, console.stderr())
        if image_format == "qcow2":
            subprocess.run(["qemu-img", "check", "-q", image], check=True)
        with tempfile.TemporaryDirectory() as elsewhere:
            flat = Path(elsewhere) / "flat"
            subprocess.run(["qemu-img", "convert", "-f", image_format, "-O", "raw", image, flat], check=True)
            self.assertEqual(flat.read_bytes()[:WRITTEN], CONTENT)

    def banyan(self, *arguments):
        return subprocess.run([vmm_path(), *arguments], capture_output=True, text=True, timeout=60 * SLOW)

    def test_resume_tries_again_at_once(self):
        """`banyan resume` says why the VM stands still, and need not wait once there is room."""
        _, console = self.start("disk.img", "raw")
        with console:
            pid = str(console.process.pid)
            with Qmp(run_directory() / f"{pid}.qmp") as qmp:
                self.fill(console)
                data = qmp.event("BLOCK_IO_ERROR")["data"]
                self.assertEqual((data["device"], data["action"], data["nospace"]), ("disk0", "stop", True))
                qmp.event("STOP")
                self.assertEqual(qmp.ask("query-status")["status"], "io-error")
                refused = self.banyan("resume", pid)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("the host has no room for what its disks write", refused.stderr)
                self.ballast.unlink()
                resumed = self.banyan("resume", pid)
                self.assertEqual(resumed.returncode, 0, resumed.stderr)
                qmp.event("RESUME")
            console.expect("all-written", 60)

    def test_raw(self):
        self.check_that_nothing_is_lost("disk.img", "raw")

    def test_qcow2(self):
        self.check_that_nothing_is_lost("disk.qcow2", "qcow2")

    def test_a_vm_that_waits_can_be_ended(self):
        _, console = self.start("disk.img", "raw")
        with console:
            self.fill(console)
            console.signal(signal.SIGTERM)
            self.assertEqual(console.wait(30), 4, console.stderr())


IN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]

if __name__ == "__main__":
    if os.geteuid() != 0:
        if subprocess.run([*IN_NAMESPACE, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            print("skipped: this host lets users mount nothing")
            sys.exit(0)
        os.execvp(IN_NAMESPACE[0], [*IN_NAMESPACE, sys.executable, __file__])
    unittest.main(verbosity=2)
