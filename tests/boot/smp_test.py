#!/usr/bin/env python3
"""Two CPUs: both come up, both work, they interrupt each other; a reboot boots again; SIGTERM ends the run."""

import hashlib
import unittest

from harness import BOOT_SECONDS, PROMPT, Console, Machine, banyan_command, kernel_complaints, report, signal


def md5_of_numbers(count):
    return hashlib.md5("".join(f"{n}\n" for n in range(1, count + 1)).encode()).hexdigest()


def interrupt_counts(console, kind):
    """What each CPU has had of one kind, a line of /proc/interrupts."""
    output, _ = console.run(f"grep {kind}: /proc/interrupts")
    return [int(word) for word in output.split()[1:3]]


class SmpTest(unittest.TestCase):
    def test_two_cpus(self):
        with Console(banyan_command(Machine(cpus=2))) as console:
            console.expect(PROMPT, BOOT_SECONDS)
            report(f"boot to the shell with 2 CPUs: {console.elapsed():.1f} s")
            self.check_cpus(console)
            self.check_work(console)
            log, _ = console.run("dmesg", 60)
            with self.subTest("the kernel does not complain"):
                self.assertEqual(kernel_complaints(log), [])
            self.check_reboot_and_signal(console)

    def check_cpus(self, console):
        with self.subTest("both are online"):
            self.assertEqual(console.run("nproc")[0], "2\n")
            self.assertEqual(console.run("cat /sys/devices/system/cpu/online")[0], "0-1\n")
        for cpu in (0, 1):
            with self.subTest(f"CPU {cpu} computes"):
                output, status = console.run(f"taskset -c {cpu} sh -c 'seq 1 5000 | md5sum | cut -c 1-32'", 60)
                self.assertEqual((output, status), (md5_of_numbers(5000) + "\n", 0))

    def check_work(self, console):
        """Two at a time, with pipes between them, so that the kernel moves and wakes tasks across CPUs."""
        console.run("for i in 1 2 3 4; do (seq 1 20000 | tac | sort -n | md5sum | cut -c 1-32 >/tmp/$i) & done; wait", 120)
        with self.subTest("work in parallel is right"):
            self.assertEqual(console.run("sort -u /tmp/1 /tmp/2 /tmp/3 /tmp/4")[0], md5_of_numbers(20000) + "\n")
        with self.subTest("each CPU has a timer of its own"):
            self.assertTrue(all(interrupt_counts(console, "LOC")), "LOC")
        with self.subTest("the CPUs interrupt each other"):
            self.assertGreater(sum(interrupt_counts(console, "RES") + interrupt_counts(console, "CAL")), 0)

    def check_reboot_and_signal(self, console):
        with self.subTest("a reboot boots again"):
            console.send("reboot\n")
            console.expect("Linux version", 60)
        console.signal(signal.SIGTERM)
        with self.subTest("SIGTERM ends the run with status 4"):
            self.assertEqual(console.wait(10), 4)
        with self.subTest("the terminal is restored"):
            self.assertTrue(console.terminal_is_restored())


if __name__ == "__main__":
    unittest.main(verbosity=2)
