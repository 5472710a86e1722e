#!/usr/bin/env python3
"""A Debian kernel on two CPUs under Debian's gdb: breakpoints, steps, watchpoints, Ctrl-C, and all that goes on after it."""

import tempfile
import time
import unittest
from pathlib import Path

from gdb_console import Gdb, gdb_place, kernel_symbols, write_symbols
from harness import BOOT_SECONDS, PROMPT, Console, Machine, banyan_command, guest_file, report

FUNCTIONS = ("vfs_read", "ksys_read", "__x64_sys_read", "do_syscall_64", "entry_SYSCALL_64_after_hwframe", "x64_sys_call",
             "proc_dointvec", "default_idle", "native_safe_halt", "pv_native_safe_halt")
OTHERS = ("panic_timeout", "start_kernel")


def command(*gdb):
    machine = Machine(cpus=2, append="console=ttyS0 nokaslr", kernel=guest_file("kernel/vmlinux"), no_reboot=True,
                      extra=("--gdb", *gdb))
    return banyan_command(machine)


class GdbTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def test_a_kernel(self):
        with Console(command("127.0.0.1:0")) as guest:
            guest.expect(PROMPT, BOOT_SECONDS)
            found = kernel_symbols(guest, FUNCTIONS + OTHERS)
            self.addresses = {name: found[name] for name in OTHERS}
            self.symbols = write_symbols({name: found[name] for name in FUNCTIONS if name in found},
                                         self.directory / "vmlinux")
            with Gdb(gdb_place(guest), self.symbols) as gdb:
                self.check_threads(gdb)
                self.check_breakpoint(gdb, guest)
                self.check_registers(gdb)
                self.check_steps(gdb)
                self.check_hardware_breakpoint(gdb, guest)
                self.check_watchpoint(gdb, guest)
                self.check_interrupt(gdb)
                gdb.do("break vfs_read")
                gdb.do("detach")
            self.check_goes_on(guest, "after a detach")
            self.check_lost_connection(guest)
            guest.send("poweroff\n")
            self.assertEqual(guest.wait(60), 0, guest.stderr())
        self.check_from_the_first_instruction()

    def check_threads(self, gdb):
        threads = gdb.do("info threads")
        self.assertIn("CPU 0", threads)
        self.assertIn("CPU 1", threads)

    def check_breakpoint(self, gdb, guest):
        gdb.do("break vfs_read")
        gdb.go_on()
        guest.send("\n")
        gdb.stopped(r"Breakpoint 1, 0x\w+ in vfs_read \(\)")
        trace = gdb.do("backtrace 3")
        self.assertRegex(trace, r"#0 +0x\w+ in vfs_read")
        self.assertRegex(trace, r"#1 +0x\w+ in ksys_read")

    def check_registers(self, gdb):
        self.assertRegex(gdb.do("info registers cr0"), r"PG.*PE|PE.*PG")
        self.assertRegex(gdb.do("info registers efer"), "LMA")
        self.assertRegex(gdb.do("x/2i $pc"), r"=> 0x\w+ <vfs_read")
        self.assertNotIn("int3", gdb.do("x/8i $pc"))
        gdb.do("set $kept = $r15")
        gdb.do("set $r15 = 0x12345")
        gdb.do("flushregs")
        self.assertIn("0x12345", gdb.do("p/x $r15"))
        gdb.do("set $r15 = $kept")

    def check_steps(self, gdb):
        """Over the breakpoint at which it stands, and on."""
        seen = set()
        for _ in range(5):
            gdb.do("stepi")
            seen.add(gdb.do("p/x $pc"))
        self.assertGreater(len(seen), 3)
        gdb.do("delete")

    def check_hardware_breakpoint(self, gdb, guest):
        self.assertIn("Hardware assisted breakpoint", gdb.do("hbreak ksys_read"))
        gdb.go_on()
        guest.send("\n")
        gdb.stopped(r"Breakpoint \d+, 0x\w+ in ksys_read \(\)")
        gdb.do("delete")

    def check_watchpoint(self, gdb, guest):
        gdb.do(f"watch *(int *) {self.addresses['panic_timeout']:#x}")
        gdb.go_on()
        guest.send("echo 77 >/proc/sys/kernel/panic\n")
        gdb.stopped(r"(?s)Hardware watchpoint \d+.*Old value = 0\s+New value = 77", 120)
        gdb.do("delete")

    def check_interrupt(self, gdb):
        gdb.go_on()
        time.sleep(1)
        gdb.interrupt()

    def check_goes_on(self, guest, when):
        with self.subTest(f"the guest goes on {when}"):
            guest.send("\n")
            guest.expect(PROMPT)
            self.assertEqual(guest.run("cat /proc/sys/kernel/panic; taskset -c 1 true"), ("77\n", 0))

    def check_lost_connection(self, guest):
        with Gdb(gdb_place(guest), self.symbols) as gdb:
            gdb.do("break vfs_read")
            gdb.go_on()
            guest.send("\n")
            gdb.stopped("Breakpoint 1")
            gdb.process.kill()
            gdb.wait()
        self.check_goes_on(guest, "after a lost connection")

    def check_from_the_first_instruction(self):
        path = self.directory / "socket"
        with Console(command(f"unix:{path},wait")) as guest:
            while not path.exists():
                time.sleep(0.1)
            with Gdb(path, self.symbols) as gdb:
                self.assertIn("PE", gdb.do("info registers cr0"))
                self.assertNotIn("PG", gdb.do("info registers cr0"))
                gdb.do(f"hbreak *{self.addresses['start_kernel']:#x}")
                gdb.go_on()
                gdb.stopped(r"Breakpoint 1, 0x\w+", 120)
                self.assertEqual(guest.transcript, "")
                gdb.do("detach")
            guest.expect(PROMPT, BOOT_SECONDS)
            report(f"boot to the shell after a stop at start_kernel: {guest.elapsed():.1f} s")
            guest.send("poweroff\n")
            self.assertEqual(guest.wait(60), 0, guest.stderr())


if __name__ == "__main__":
    unittest.main(verbosity=2)
