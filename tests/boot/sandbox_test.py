#!/usr/bin/env python3
"""What a VM's process may still do while its guest runs, as the kernel and `banyan doctor --security` see it."""

import json
import os
import subprocess
import unittest

from harness import BOOT_SECONDS, SLOW, Console, Machine, banyan_command, own_directory, vmm_path
from qmp import run_directory

SHARED = "shared"


class SandboxTest(unittest.TestCase):
    def setUp(self):
        self.directory = own_directory(self, "XDG_RUNTIME_DIR")
        self.shared = self.directory / SHARED
        self.shared.mkdir()

    def start(self, *extra):
        machine = Machine(no_reboot=True, extra=("--name", "boxed", *extra))
        return Console(banyan_command(machine))

    def doctor(self):
        result = subprocess.run([vmm_path(), "doctor", "--security", "--json", "boxed"], capture_output=True, text=True,
                                timeout=60 * SLOW, check=True)
        report = json.loads(result.stdout)
        self.assertEqual(len(report["vms"]), 1)
        return report["host"], report["vms"][0]

    def test_with_a_sandbox(self):
        with self.start("--sandbox", "on", "--share", f"{self.shared}:{SHARED}") as console:
            console.expect(console.prompt, BOOT_SECONDS)
            host, vm = self.doctor()
            with self.subTest("each thread"):
                self.assertGreater(vm["threads"], 4)
                if host["seccomp"]:
                    self.assertEqual(vm["threads_with_seccomp"], vm["threads"])
            with self.subTest("what the VM says"):
                self.assertEqual(vm["said_by_vm"]["mode"], "on")
                self.assertEqual(vm["said_by_vm"]["landlock"], host["landlock"])
            console.send("poweroff -f\n")
            self.assertEqual(console.wait(60), 0)
        self.assertEqual(list(run_directory().iterdir()), [])

    def test_without_shares_there_are_no_privileges(self):
        with self.start("--sandbox", "on", "--net", "none") as console:
            console.expect(console.prompt, BOOT_SECONDS)
            _, vm = self.doctor()
            self.assertEqual(vm["threads_without_privileges"], vm["threads"])

    def test_without_a_sandbox(self):
        with self.start() as console:
            console.expect(console.prompt, BOOT_SECONDS)
            _, vm = self.doctor()
            self.assertEqual(vm["threads_with_seccomp"], 0)
            self.assertEqual(vm["said_by_vm"]["mode"], "off")


if __name__ == "__main__":
    unittest.main()
