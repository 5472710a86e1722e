#!/usr/bin/env python3
"""How a run ends: what a guest does at its end, signals, and a console that goes away."""

import os
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, SLOW, Console, Machine, banyan_command, signal

MESSAGE = re.compile(r"^banyan: [^:]+: .+; .+$")


def messages(stderr):
    """Without the line that says which engine was chosen, and why."""
    return [line for line in stderr.splitlines() if not line.startswith("banyan: engine")]


class GuestEndTest(unittest.TestCase):
    def test_panic_is_a_crash(self):
        """The kernel's pvpanic driver reports it; --no-reboot, so that a panic that is missed cannot hide in a reboot."""
        machine = Machine(append='console=ttyS0 panic=5 banyan.modules=pvpanic-mmio '
                                 'banyan.run="echo c > /proc/sysrq-trigger"', no_reboot=True)
        with Console(banyan_command(machine)) as console:
            console.expect("Kernel panic - not syncing: sysrq triggered crash", BOOT_SECONDS)
            self.assertEqual(console.wait(30), 3)
            self.assertRegex("\n".join(messages(console.stderr())), MESSAGE)

    def test_reboot_ends_the_run_under_no_reboot(self):
        machine = Machine(append='console=ttyS0 banyan.run="reboot -f"', no_reboot=True)
        with Console(banyan_command(machine)) as console:
            console.expect("reboot: Restarting system", BOOT_SECONDS)
            self.assertEqual(console.wait(30), 0, console.stderr())
            self.assertEqual(console.transcript.count("Linux version"), 1)


class SignalTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.disk = Path(directory.name) / "disk.img"
        self.content = os.urandom(1 << 20)
        self.disk.write_bytes(self.content)

    def check_end(self, number, delay):
        with Console(banyan_command(Machine(disks=(self.disk,)))) as console:
            time.sleep(delay * SLOW)
            self.assertIsNone(console.process.poll(), f"it ended before the signal: {console.stderr()}")
            console.signal(number)
            self.assertEqual(console.wait(10), 4, console.stderr())
            self.assertTrue(console.terminal_is_restored())
            lines = messages(console.stderr())
            self.assertEqual(len(lines), 1, lines)
            self.assertRegex(lines[0], MESSAGE)
        self.assertEqual(self.disk.read_bytes(), self.content)

    def test_signals_at_any_time(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for delay in (0.3, 1, 3):
                with self.subTest(f"{number.name} after {delay} s"):
                    self.check_end(number, delay)

    def test_a_second_signal_does_not_harm(self):
        with Console(banyan_command(Machine())) as console:
            time.sleep(1 * SLOW)
            console.signal(signal.SIGTERM)
            if console.process.poll() is None:
                console.signal(signal.SIGINT)
            self.assertEqual(console.wait(10), 4, console.stderr())


class ConsoleEndTest(unittest.TestCase):
    def test_a_terminal_that_goes_away(self):
        """A hang-up is a signal, and ends the run like one."""
        with Console(banyan_command(Machine())) as console:
            console.expect("Linux version", 60)
            console.hang_up()
            self.assertEqual(console.process.wait(10 * SLOW), 4, console.stderr())

    def test_a_reader_that_goes_away(self):
        """As in `banyan run ... | head -1`: one line, and status 1, for Banyan can no longer do what was asked."""
        command = banyan_command(Machine())
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            try:
                self.assertTrue(process.stdout.readline())
                process.stdout.close()
                self.assertEqual(process.wait(60 * SLOW), 1)
                lines = messages(process.stderr.read().decode())
                self.assertEqual(len(lines), 1, lines)
                self.assertRegex(lines[0], MESSAGE)
            finally:
                if process.poll() is None:
                    process.kill()


if __name__ == "__main__":
    unittest.main(verbosity=2)
