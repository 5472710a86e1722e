#!/usr/bin/env python3
"""A run by --engine kvm that is stopped and goes on, and fifty kills that leave nothing behind. More ends: boot_test.py."""

import random
import re

from rig import APPEND, ShellTest, main

KILLS = 50
AT_ONCE = 2
# Milliseconds after the start: from before the first instruction to the kernel's work.
EARLIEST, LATEST = 5, 900
CONSOLE = "/tmp/banyan-console"


class LifecycleTest(ShellTest):
    def test_a_stopped_process_goes_on(self):
        """SIGTSTP stops the guest's time with the process; SIGCONT lets both go on, to a reboot that --no-reboot makes an end."""
        rig = self.rig
        run = rig.run_command("--cpus", "2", "--console", f"file:{CONSOLE}", "--no-reboot",
                              append=APPEND + ' banyan.run="echo before; usleep 1500000; echo after; reboot -f"')
        # In a shell without job control, for which a process that stops has not ended.
        said, _ = rig.run(f"({run} & p=$!; until grep -qs before {CONSOLE}; do sleep 0.1; done; "
                          f"kill -TSTP $p; sleep 3; grep -c after {CONSOLE}; kill -CONT $p; "
                          f"until grep -qs after {CONSOLE}; do sleep 0.1; done; echo went on; wait $p; echo status $?; "
                          f"grep -c 'Linux version\\|Restarting system' {CONSOLE}; rm {CONSOLE})", 120)
        self.assertRegex(said, r"(?s)\b0\n.*went on\n.*status 0\n")
        # quiet: the kernel says no more on its console than what it ends with.
        self.assertRegex(said, r"\n1\n$")

    def test_kills_leave_nothing_behind(self):
        rig = self.rig
        before = self.traces()
        seed = random.randrange(1 << 32)
        moments = random.Random(seed)
        rig.send("kill_after() { " + rig.run_command("--cpus", "2", "--console", "none") +
                 " 2>/tmp/said-$1 & p=$!; sleep $2; kill -$3 $p; wait $p; "
                 "echo \"SIG$3 after $2 s: status $? $(grep -v engine /tmp/said-$1)\" >/tmp/end-$1; }\n")
        rig.expect(rig.prompt)
        for first in range(0, KILLS, AT_ONCE):
            numbers = range(first, first + AT_ONCE)
            calls = [f"kill_after {n} {moments.randint(EARLIEST, LATEST) / 1000} {moments.choice(['KILL', 'TERM'])}"
                     for n in numbers]
            rig.shell(" & ".join(calls) + " & wait", 60)
        ends = re.findall(r"^SIG(KILL|TERM) after .*: status (\d+) ?(.*)$", rig.shell("cat /tmp/end-*"), re.MULTILINE)
        rig.shell("rm /tmp/end-* /tmp/said-*")
        self.assertEqual(len(ends), KILLS, f"seed {seed}")
        for name, status, said in ends:
            with self.subTest(f"seed {seed}: SIG{name}: {said}"):
                # 128 + 9 by SIGKILL; by SIGTERM our own, or 128 + 15 before Banyan's first instruction.
                self.assertIn(status, ("137",) if name == "KILL" else ("4", "143"))
        self.assertEqual(self.traces(), before)

    def traces(self):
        """Processes, shared memory and users of the module."""
        rig = self.rig
        return (rig.run("ps | grep -c '[b]anyan run'")[0], rig.run("ls /dev/shm 2>/dev/null")[0],
                rig.run("cat /sys/module/kvm_*/refcnt")[0])


if __name__ == "__main__":
    main()
