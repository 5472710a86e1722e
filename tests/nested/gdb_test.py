#!/usr/bin/env python3
"""A Debian kernel by --engine kvm under Debian's gdb, from outside of the rig: breakpoint, step, watchpoint, Ctrl-C, detach."""

import sys
import tempfile
import time
from pathlib import Path

from rig import APPEND, LINE, PROMPT, RIG_PROMPT, ShellTest, main, report

sys.path.append(str(Path(__file__).resolve().parents[1] / "boot"))
from gdb_console import Gdb, kernel_symbols, write_symbols  # noqa: E402

FUNCTIONS = ("vfs_read", "ksys_read")
VARIABLE = "panic_timeout"
PORT = 1234


class GdbTest(ShellTest):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def open_line(self):
        """Where gdb reaches what listens at PORT of the shell's machine."""
        rig = self.rig
        if not rig.nested:
            return f"127.0.0.1:{PORT}"
        rig.shell(f"ip link set lo up; stty -F {LINE} raw -echo")
        # A connection stops the guest: not before gdb says its first word, which is a `+` that nobody misses.
        rig.send(f"(exec 3<>{LINE}; dd bs=1 count=1 <&3 >/dev/null 2>&1; exec nc 127.0.0.1 {PORT} <&3 >&3) &\n")
        rig.expect(RIG_PROMPT)
        return rig.line

    def test_a_kernel(self):
        rig = self.rig
        place = self.open_line()
        rig.boot("--cpus", "2", "--gdb", str(PORT), append=APPEND + " nokaslr")
        found = kernel_symbols(rig, FUNCTIONS + (VARIABLE,))
        symbols = write_symbols({name: found[name] for name in FUNCTIONS}, self.directory / "vmlinux")
        with Gdb(place, symbols) as gdb:
            start = time.monotonic()
            self.check(gdb, rig, found[VARIABLE])
            report(f"gdb's part: {time.monotonic() - start:.1f} s")
        self.assertEqual(rig.run("cat /proc/sys/kernel/panic"), ("77\n", 0))
        rig.send("poweroff\n")
        self.assertEqual(rig.status(), 0)

    def check(self, gdb, rig, variable):
        self.check_state(gdb)
        self.check_steps(gdb)
        if not rig.nested:
            self.check_breakpoint(gdb, rig)
            self.check_watchpoint(gdb, rig, variable)
        gdb.do(f"set var *(int *) {variable:#x} = 77")
        gdb.go_on()
        rig.send("\n")
        rig.expect(PROMPT)
        gdb.interrupt()
        gdb.do("detach")

    def check_state(self, gdb):
        threads = gdb.do("info threads")
        self.assertIn("CPU 0", threads)
        self.assertIn("CPU 1", threads)
        self.assertRegex(gdb.do("info registers cr0"), "PG")
        self.assertRegex(gdb.do("x/i $pc"), r"=> 0xffffffff\w+")

    def check_steps(self, gdb):
        """CPU 0 is halted: it goes on with its timer's interrupt, and from there."""
        seen = set()
        for _ in range(6):
            gdb.do("stepi")
            seen.add(gdb.do("p/x $pc"))
        self.assertGreater(len(seen), 4)

    # QEMU 7.2's TCG does not intercept the #BP of an INT3 (AMD APM vol. 2 section 15.12.4), nor does it watch what a guest's DR7
    # names (section 15.5.1): these two need a real processor.
    def check_breakpoint(self, gdb, rig):
        gdb.do("break vfs_read")
        gdb.go_on()
        rig.send("\n")
        gdb.stopped(r"Breakpoint 1, 0x\w+ in vfs_read \(\)")
        self.assertRegex(gdb.do("backtrace 2"), r"#1 +0x\w+ in ksys_read")
        gdb.do("delete")

    def check_watchpoint(self, gdb, rig, variable):
        gdb.do(f"watch *(int *) {variable:#x}")
        gdb.go_on()
        rig.expect(PROMPT)
        rig.send("echo 76 >/proc/sys/kernel/panic\n")
        gdb.stopped(r"(?s)Hardware watchpoint \d+.*Old value = 0\s+New value = 76", 60)
        gdb.do("delete")


if __name__ == "__main__":
    main()
