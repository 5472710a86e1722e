#!/usr/bin/env python3
"""VMs in the background, and the commands that find them by their names."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command, guest_file, own_directory, vmm_path
from qmp import power_initramfs, run_directory

NOBODY = 65534


def link_of(file):
    """Of another process' descriptor, which may be closed meanwhile."""
    try:
        return os.readlink(file)
    except OSError:
        return ""


class DetachTest(unittest.TestCase):
    def setUp(self):
        self.directory = own_directory(self, "XDG_RUNTIME_DIR")
        self.addCleanup(self.end_all)
        self.as_user = {}

    def banyan(self, *arguments, seconds=60):
        return subprocess.run([vmm_path(), *arguments], capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=seconds * SLOW, **self.as_user)

    def end_all(self):
        for vm in self.list():
            self.banyan("kill", str(vm["pid"]))

    def list(self):
        return json.loads(self.banyan("list", "--json").stdout)

    def start(self, name, *extra):
        power = self.directory / "power"
        power_initramfs(power)
        machine = Machine(initrd=f"{guest_file('shell/initramfs')},{power}",
                          extra=("--detach", "--name", name, *extra))
        return self.banyan(*banyan_command(machine)[1:])

    def started(self, name, *extra):
        result = self.start(name, *extra)
        self.assertEqual((result.returncode, result.stdout), (0, f"{name}\n"), result.stderr)

    def await_log(self, name, pattern, seconds=BOOT_SECONDS):
        deadline = time.monotonic() + seconds * SLOW
        while True:
            log = self.banyan("logs", name)
            if re.search(pattern, log.stdout):
                return log.stdout
            self.assertLess(time.monotonic(), deadline, f"no {pattern!r} in the log: {log.stdout}{log.stderr}")
            time.sleep(0.2)

    def check_nothing_is_left(self):
        self.assertEqual(self.list(), [])
        self.assertEqual(list(run_directory().iterdir()), [])

    def follow(self, *arguments):
        """Starts a command that goes on; what it prints is in its `out` and `err`."""
        out, err = (tempfile.TemporaryFile() for _ in range(2))
        process = subprocess.Popen([vmm_path(), *arguments], stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        process.out = lambda: os.pread(out.fileno(), 1 << 20, 0).decode(errors="replace")
        process.err = lambda: os.pread(err.fileno(), 1 << 20, 0).decode(errors="replace")
        for end in (err.close, out.close, process.wait, process.kill):
            self.addCleanup(end)
        return process

    def await_connection(self, process):
        """Until it has connected to a VM: it says nothing of that."""
        deadline = time.monotonic() + 30 * SLOW
        files = Path(f"/proc/{process.pid}/fd")
        while not any(link_of(file).startswith("socket:") for file in files.iterdir()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def ended(self, process, seconds=60):
        return process.wait(seconds * SLOW), process.out(), process.err()

    def test_a_life_in_the_background(self):
        self.started("one")
        with self.subTest("list and show"):
            [vm] = self.list()
            self.assertEqual((vm["name"], vm["state"], vm["cpus"], vm["memory"]), ("one", "running", 1, 512 << 20))
            self.assertRegex(self.banyan("list").stdout, rf"(?m)^one +{vm['pid']} +running +\w+ +1 +512 MiB ")
            self.assertIn("state: running\n", self.banyan("show", "one").stdout)
            facts = json.loads(self.banyan("show", "--json", str(vm["pid"])).stdout)
            self.assertEqual(facts["control"], str(run_directory() / f"{vm['pid']}.qmp"))
        with self.subTest("its name is its own"):
            again = self.start("one")
            self.assertEqual((again.returncode, again.stdout), (1, ""))
            self.assertRegex(again.stderr, r"(?m)^banyan: --name 'one': a VM of this name runs already, as process \d+; ")
            self.assertEqual(len(self.list()), 1)
        self.await_log("one", PROMPT)
        self.check_console()
        with self.subTest("the log has it all"):
            log = self.banyan("logs", "one").stdout
            self.assertIn("Linux version", log)
            self.assertIn("typed-42", log)
            self.assertIn("\n", self.banyan("logs", "--messages", "one").stdout + "\n")
        with self.subTest("pause and resume"):
            self.assertEqual(self.banyan("pause", "one").returncode, 0)
            self.assertEqual(self.list()[0]["state"], "paused")
            stopped = self.banyan("stop", "one")
            self.assertEqual(stopped.returncode, 1)
            self.assertIn("it is paused", stopped.stderr)
            self.assertEqual(self.banyan("resume", "one").returncode, 0)
            self.assertEqual(self.list()[0]["state"], "running")
        self.check_stop()
        self.check_nothing_is_left()

    def check_console(self):
        with self.subTest("the console can be typed at, and left"):
            with Console([vmm_path(), "console", "one"]) as console:
                console.expect(PROMPT)  # what was there before
                console.send("echo typed-$((6*7))\n")
                console.expect("typed-42")
                console.send("\x1d")
                self.assertEqual(console.wait(), 0, console.stderr())
                self.assertTrue(console.terminal_is_restored())
            self.assertEqual(self.list()[0]["state"], "running")

    def check_stop(self):
        with self.subTest("it powers off, and all who watch are told"):
            log = self.follow("logs", "-f", "one")
            events = self.follow("events", "one")
            waits = self.follow("wait", "one")
            self.await_connection(waits)
            self.await_connection(events)
            with Console([vmm_path(), "console", "one"]) as console:
                console.run("/power/listen; sleep 1")
                stop = self.banyan("stop", "one", "--timeout", "120", seconds=150)
                self.assertEqual(stop.returncode, 0, stop.stderr)
                self.assertEqual(stop.stderr, "banyan: stop 'one': it powered off\n")
                self.assertEqual(console.wait(), 0, console.stderr())
                self.assertIn("the VM has ended", console.stderr())
            self.assertEqual(self.ended(waits)[:2], (0, "0\n"))
            status, out, _ = self.ended(events)
            self.assertEqual(status, 0)
            self.assertRegex(out, r"^.* one POWERDOWN\n.* one SHUTDOWN guest=true "
                                  r'reason="guest-shutdown" status=0 message=""\n$')
            status, out, _ = self.ended(log)
            self.assertEqual(status, 0)
            self.assertIn("Power down", out)

    def test_ends_by_force(self):
        self.started("two", "--rm")
        self.started("three")
        with self.subTest("a guest that does not hear its button runs on"):
            stop = self.banyan("stop", "two", "--timeout", "0")
            self.assertEqual(stop.returncode, 1)
            self.assertIn("did not power off within 0 s", stop.stderr)
        with self.subTest("kill ends it at once"):
            events = self.follow("events", "--json")
            waits = self.follow("wait", "two")
            self.await_connection(waits)
            for name in ("two", "three"):
                deadline = time.monotonic() + 30 * SLOW
                while not re.search(rf'{{"vm":"{name}",.*"event":"STOP"}}\n', events.out()):
                    self.assertLess(time.monotonic(), deadline, events.out() + events.err())
                    self.banyan("pause", name)  # until the stream has this VM, too
                    self.banyan("resume", name)
            self.assertEqual(self.banyan("kill", "two").returncode, 0)
            self.assertEqual([vm["name"] for vm in self.list()], ["three"])
            status, out, err = self.ended(waits)
            self.assertEqual((status, out), (0, "4\n"), err)
            self.assertIn("the VM was ended", err)
        with self.subTest("one whose process was killed is gone, with its files"):
            [vm] = self.list()
            os.kill(vm["pid"], signal.SIGKILL)
            deadline = time.monotonic() + 30 * SLOW
            while self.list():
                self.assertLess(time.monotonic(), deadline)
        self.check_nothing_is_left()
        with self.subTest("then there is none of that name"):
            for command in ("show", "stop", "kill", "reset", "pause", "resume", "console", "logs", "events", "wait"):
                result = self.banyan(command, "three")
                self.assertEqual(result.returncode, 1, command)
                self.assertRegex(result.stderr, rf"^banyan: {command} 'three': no VM of this name .*; banyan list ")

    def test_reset(self):
        self.started("four")
        self.await_log("four", "Linux version")
        self.assertEqual(self.banyan("reset", "four").returncode, 0)
        self.await_log("four", r"Linux version(.*\n)*.*Linux version")
        self.assertEqual(self.banyan("stop", "--force", "four").returncode, 0)
        self.check_nothing_is_left()

    def test_what_cannot_start_says_so(self):
        result = self.banyan("run", "--detach", "--kernel", "/nowhere/kernel")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"(?m)^banyan: read the kernel .*; .*$")
        result = self.banyan("run", "--detach", "--cpus", "0", "--kernel", "/nowhere/kernel")
        self.assertEqual(result.returncode, 2)
        self.check_nothing_is_left()

    def test_a_stopped_process_does_not_hold_up_the_others(self):
        """A process that does not answer is shown as such, and can be killed."""
        self.started("five")
        [vm] = self.list()
        os.kill(vm["pid"], signal.SIGSTOP)
        self.assertEqual(self.list()[0]["state"], "no-answer")
        self.assertEqual(self.banyan("kill", "five").returncode, 0)
        self.check_nothing_is_left()

    @unittest.skipUnless(os.geteuid() == 0, "this test runs as a user anyway")
    def test_as_a_user_without_rights(self):
        self.as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        os.chown(self.directory, NOBODY, NOBODY)
        try:
            usable = self.banyan("version").returncode == 0
        except PermissionError:
            usable = False
        if not usable:
            self.skipTest("other users of this machine cannot reach the program")
        self.started("six")
        self.assertEqual(self.list()[0]["name"], "six")
        self.assertEqual(run_directory().stat().st_uid, NOBODY)
        self.await_log("six", "Linux version")
        self.assertEqual(self.banyan("kill", "six").returncode, 0)
        self.check_nothing_is_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)
