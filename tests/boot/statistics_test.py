#!/usr/bin/env python3
"""What a running VM tells of itself: `banyan stats`, `--trace jit`, and the names that perf reads."""

import json
import re
import subprocess
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, PROMPT, Console, Machine, banyan_command, own_directory, signal, vmm_path


class StatisticsTest(unittest.TestCase):
    def setUp(self):
        self.files = own_directory(self, "XDG_RUNTIME_DIR") / "banyan"

    def stats(self, *arguments):
        return subprocess.run([vmm_path(), "stats", *arguments], capture_output=True, text=True, timeout=30)

    def figures(self, *arguments):
        return json.loads(self.stats("--json", *arguments).stdout)

    def start(self, *extra):
        machine = Machine(no_reboot=True, cpus=2, extra=("--name", "watched", *extra))
        return Console(banyan_command(machine))

    def check_published(self, console):
        pid = console.process.pid
        text = self.stats().stdout
        self.assertRegex(text, rf"^watched: pid {pid}, engine soft, 2 CPUs, \d+ s\n")
        for name in ("instructions", "translated regions", "exits for links", "tlb fills"):
            self.assertRegex(text, rf"(?m)^  {name} +[1-9]\d*\b")
        for wanted in ((), ("watched",), (str(pid),)):
            vms = self.figures(*wanted)
            self.assertEqual([vm["pid"] for vm in vms], [pid])
        self.assertEqual(len(vms[0]["vcpus"]), 2)
        # A boot is some hundreds of millions; a count that has run below zero is far above.
        self.assertTrue(10**7 < vms[0]["vcpus"][0]["instructions"] < 10**11, vms[0])

    def check_moves_on(self, console):
        before = self.figures("watched")[0]
        console.run("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done", 60)
        console.run("sleep 1.5", 60)
        after = self.figures("watched")[0]
        self.assertGreater(after["seconds"], before["seconds"])
        self.assertGreater(sum(vcpu["instructions"] for vcpu in after["vcpus"]),
                           sum(vcpu["instructions"] for vcpu in before["vcpus"]))

    def check_trace(self, stderr):
        lines = re.findall(r"^banyan: trace: jit: [\d.]+ M instructions/s; translated \d+ regions", stderr, re.MULTILINE)
        self.assertGreaterEqual(len(lines), 2, stderr)
        self.assertRegex(stderr, r"(?m)^banyan: trace: jit: instructions +\d+$")
        self.assertRegex(stderr, r"(?m)^banyan: trace: jit: exits for lookups +\d+ +[\d.]+$")

    def check_map(self, path):
        lines = path.read_text().splitlines()
        self.assertGreater(len(lines), 1000)
        for line in lines:
            self.assertRegex(line, r"^[0-9a-f]+ [0-9a-f]+ (banyan:stubs|guest:(kernel|user):0x[0-9a-f]+)$")
        self.assertIn(" guest:kernel:0xffffffff", path.read_text())
        self.assertIn(" guest:user:0x", path.read_text())

    def test_from_another_terminal(self):
        with self.start("--trace", "jit,jit-map") as console:
            perf_map = Path(f"/tmp/perf-{console.process.pid}.map")
            self.addCleanup(lambda: perf_map.unlink(missing_ok=True))
            console.expect(PROMPT, BOOT_SECONDS)
            with self.subTest("they are published"):
                self.check_published(console)
            with self.subTest("they move on"):
                self.check_moves_on(console)
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0, console.stderr())
            with self.subTest("the trace"):
                self.check_trace(console.stderr())
            with self.subTest("the map for perf"):
                self.check_map(perf_map)
        with self.subTest("nothing is left"):
            self.assertEqual(list(self.files.iterdir()), [])
            self.assertEqual(self.stats().stdout, "no VM is running\n")

    def test_what_a_killed_vm_has_left_is_removed(self):
        with self.start() as console:
            console.expect("Linux version", 60)
            self.assertEqual(len(self.figures()), 1)
            console.signal(signal.SIGKILL)
            console.wait(10)
            self.assertEqual({path.suffix for path in self.files.iterdir()}, {".json", ".qmp", ".screen"})
            self.assertEqual(self.figures(), [])
            self.assertEqual(list(self.files.iterdir()), [])

    def test_no_vm_of_this_name(self):
        result = self.stats("debian")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"^banyan: stats 'debian': .+; .+\n$")

    def test_a_directory_that_others_can_write(self):
        """The VM runs all the same."""
        self.files.mkdir()
        self.files.chmod(0o777)
        with self.start() as console:
            console.expect("Linux version", 60)
            self.assertRegex(console.stderr(), r"(?m)^banyan: warning: banyan list and stats will not show this VM: .+; .+$")
        self.assertEqual(self.stats().returncode, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
