#!/usr/bin/env python3
"""A run by --engine kvm that is stopped and goes on, and fifty kills that leave nothing behind. More ends: boot_test.py."""

import random
import re

from rig import APPEND, ShellTest, main, report

KILLS = 50
AT_ONCE = 2
# Milliseconds after the start: from before the first instruction to the kernel's work.
EARLIEST, LATEST = 5, 900
CONSOLE = "/tmp/banyan-console"
DISK = "/tmp/banyan-disk"
REQUESTS = 200
# Of all machines that KVM has.
EXITS = 'echo "memory exits $(cat /sys/kernel/debug/kvm/mmio_exits 2>/dev/null)"'
MOUNT = "[ -e /sys/kernel/debug/kvm ] || mount -t debugfs debugfs /sys/kernel/debug"
READS = f"dd if=/dev/vda of=/dev/null bs=4k count={REQUESTS} iflag=direct"


class LifecycleTest(ShellTest):
    def test_a_stopped_process_goes_on(self):
        """SIGTSTP stops the guest's time with the process; SIGCONT lets both go on, to a reboot that --no-reboot makes an end.
        Before that, the guest reads its disk: its doorbells are no exits of KVM_RUN."""
        rig = self.rig
        run = rig.run_command("--cpus", "2", "--console", f"file:{CONSOLE}", "--no-reboot", "--disk", DISK,
                              append=APPEND + " banyan.modules=virtio_pci,virtio_blk banyan.run="
                                              f'"echo before; usleep 1500000; {READS}; echo after; reboot -f"')
        rig.shell(f"truncate -s 16M {DISK}; {MOUNT}" if rig.nested else f"truncate -s 16M {DISK}")
        self.define("reader", run)
        # In a shell without job control, for which a process that stops has not ended.
        said, _ = rig.run(f"(reader & p=$!; until grep -qs before {CONSOLE}; do sleep 0.1; done; {EXITS}; "
                          f"kill -TSTP $p; sleep 3; grep -c after {CONSOLE}; kill -CONT $p; "
                          f"until grep -qs after {CONSOLE}; do sleep 0.1; done; {EXITS}; echo went on; "
                          f"wait $p; echo status $?; rm {CONSOLE} {DISK})", 120)
        self.assertRegex(said, r"(?s)\b0\n.*went on\n.*status 0\n")
        if rig.nested:
            before, after = (int(number) for number in re.findall(r"memory exits (\d+)", said))
            report(f"{REQUESTS} requests of a disk: {after - before} exits for device memory")
            self.assertLess(after - before, REQUESTS // 4)

    def test_kills_leave_nothing_behind(self):
        rig = self.rig
        before = self.traces()
        seed = random.randrange(1 << 32)
        moments = random.Random(seed)
        self.define("kill_after", rig.run_command("--cpus", "2", "--console", "none") +
                    " 2>/tmp/said-$1 & p=$!; sleep $2; kill -$3 $p; wait $p; "
                    "echo \"SIG$3 after $2 s: status $? $(grep -v engine /tmp/said-$1)\" >/tmp/end-$1")
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

    def define(self, name, commands):
        """A function of the shell: busybox takes lines of no more than 1024 characters."""
        self.rig.send(f"{name}() {{ {commands}; }}\n")
        self.rig.expect(self.rig.prompt)

    def traces(self):
        """Processes, shared memory and users of the module."""
        rig = self.rig
        return (rig.run("ps | grep -c '[b]anyan run'")[0], rig.run("ls /dev/shm 2>/dev/null")[0],
                rig.run("cat /sys/module/kvm_*/refcnt")[0])


if __name__ == "__main__":
    main()
