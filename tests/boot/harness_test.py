#!/usr/bin/env python3
"""The harness itself: that it sees what happens, and that it fails when something does not."""

import time
import unittest

from harness import Console, Unexpected, kernel_complaints, signal


class ConsoleTest(unittest.TestCase):
    def test_expects_in_order_and_returns_the_status(self):
        with Console(["sh", "-c", "echo one; echo two; exit 7"]) as console:
            console.expect("one", 5)
            console.expect("two", 5)
            self.assertEqual(console.wait(5), 7)

    def test_does_not_match_the_same_text_twice(self):
        with Console(["sh", "-c", "echo one; sleep 5"]) as console:
            console.expect("one", 5)
            with self.assertRaisesRegex(Unexpected, "did not come"):
                console.expect("one", 0.3)

    def test_says_when_the_program_ended_first(self):
        with Console(["sh", "-c", "echo why >&2; exit 3"]) as console:
            with self.assertRaisesRegex(Unexpected, "(?s)ended with 3.*why"):
                console.expect("never", 5)

    def test_wait_has_a_limit_and_leaving_kills(self):
        with Console(["sleep", "60"]) as console:
            with self.assertRaisesRegex(Unexpected, "did not end"):
                console.wait(0.3)
        self.assertEqual(console.process.returncode, -signal.SIGKILL)

    def test_sees_a_terminal_that_was_not_restored(self):
        with Console(["sh", "-c", "stty raw"]) as console:
            console.wait(5)
            self.assertFalse(console.terminal_is_restored())

    def test_hanging_up_reaches_the_program(self):
        with Console(["sleep", "60"]) as console:
            console.hang_up()
            deadline = time.monotonic() + 5
            while console.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(console.process.poll(), -signal.SIGHUP)

    def test_runs_commands_in_a_shell(self):
        with Console(["sh", "-c", "PS1='banyan:/# ' sh -i 2>&1"]) as console:
            console.expect("banyan:/# ", 5)
            self.assertEqual(console.run("echo a; false", 5), ("a\n", 1))


class KernelComplaintsTest(unittest.TestCase):
    def test_finds_complaints_and_nothing_else(self):
        harmless = ["ACPI: LAPIC_NMI (acpi_id[0xff] dfl dfl lint[0x1])", "NMI watchdog: disabled", "report a bug"]
        bad = ["WARNING: CPU: 0 PID: 1", "BUG: kernel NULL pointer", "Uhhuh. NMI received for unknown reason 2d"]
        self.assertEqual(kernel_complaints("\n".join(harmless + bad)), bad)


if __name__ == "__main__":
    unittest.main(verbosity=2)
