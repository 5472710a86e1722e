#!/usr/bin/env python3
"""How a run by --engine kvm ends: exit statuses, signals, and fifty kills that leave nothing behind."""

import random

from rig import APPEND, PROMPT, ShellTest, main

KILLS = 50
# Milliseconds after the start: from before the first instruction to the kernel's work.
EARLIEST, LATEST = 5, 900


class LifecycleTest(ShellTest):
    def test_a_reboot_boots_again(self):
        rig = self.rig
        rig.boot()
        rig.send("reboot\n")
        rig.expect("Restarting system", 60)
        rig.expect(PROMPT, 90)
        self.assertEqual(rig.run("dmesg | grep -c 'Linux version'")[0], "1\n")
        rig.send("poweroff\n")
        self.assertEqual(rig.status(), 0)

    def test_a_reboot_ends_the_run_under_no_reboot(self):
        self.rig.start("--no-reboot", append=APPEND + ' banyan.run="reboot -f"')
        self.assertEqual(self.rig.status(90), 0)

    def test_a_panic_is_a_crash(self):
        self.rig.start("--no-reboot", append=APPEND + ' panic=5 banyan.modules=pvpanic-mmio '
                                                      'banyan.run="echo c > /proc/sysrq-trigger"')
        self.assertEqual(self.rig.status(90), 3)

    def test_ctrl_bracket_leaves(self):
        self.rig.boot()
        self.rig.send("\x1d")
        self.assertEqual(self.rig.status(), 4)

    def test_two_cpus_in_their_work_are_stopped_by_a_signal(self):
        rig = self.rig
        rig.boot("--cpus", "2", "--name", "busy")
        rig.run("for i in 1 2; do (while :; do :; done) & done")
        rig.send("sleep 1000\n")
        rig.send("\x1d")
        self.assertEqual(rig.status(), 4)

    def test_a_stopped_process_goes_on(self):
        """SIGTSTP stops the guest's time with the process; SIGCONT lets both go on."""
        rig = self.rig
        run = rig.run_command("--cpus", "2", "--console", "file:/tmp/banyan-console",
                              append=APPEND + ' banyan.run="echo before; usleep 1500000; echo after; reboot -f"')
        console = "/tmp/banyan-console"
        said, _ = rig.run(f"{run} --no-reboot & p=$!; until grep -qs before {console}; do sleep 0.1; done; "
                          f"kill -TSTP $p; sleep 3; grep -c after {console}; kill -CONT $p; "
                          f"until grep -qs after {console}; do sleep 0.1; done; echo went on; wait; rm {console}", 120)
        self.assertRegex(said, r"(?s)\b0\n.*went on\n")

    def test_kills_leave_nothing_behind(self):
        rig = self.rig
        before = self.traces()
        seed = random.randrange(1 << 32)
        moments = random.Random(seed)
        run = rig.run_command("--cpus", "2", "--console", "none")
        for _ in range(KILLS):
            delay = moments.randint(EARLIEST, LATEST) / 1000
            number = moments.choice(["KILL", "TERM"])
            said, _ = rig.run(f"{run} 2>/tmp/banyan-said & p=$!; sleep {delay}; kill -{number} $p; wait $p; "
                              "echo status $?; grep -v engine /tmp/banyan-said")
            with self.subTest(f"seed {seed}: SIG{number} after {delay} s"):
                # 128 + 9 by SIGKILL; by SIGTERM our own, or 128 + 15 before Banyan's first instruction.
                self.assertRegex(said, "status 137" if number == "KILL" else "status (4|143)")
        self.assertEqual(self.traces(), before)

    def traces(self):
        """Processes, shared memory and users of the module."""
        rig = self.rig
        return (rig.run("ps | grep -c '[b]anyan run'")[0], rig.run("ls /dev/shm 2>/dev/null")[0],
                rig.run("cat /sys/module/kvm_*/refcnt")[0])


if __name__ == "__main__":
    main()
