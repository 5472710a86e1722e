#!/usr/bin/env python3
"""The bare guests of tests/guests by --engine kvm: real and protected mode, paging, interrupts, several CPUs."""

import tempfile
from pathlib import Path

from rig import ShellTest, guests, main

# In the nested rig the guest's CPU is TCG's, which is not exact; what it does wrong stands in these guests' own notes
# ("; qemu: ..."). Those of other guests are about QEMU's devices.
TCG_FAILS = ("debug", "fast_calls", "gates", "modes", "paging32", "paging64", "paging_pae", "segments", "smp_code",
             "smp_init", "smp_order", "tasks", "traps")
CPUS = "2"  # for those that can have several


class BareGuestTest(ShellTest):
    @classmethod
    def extra_files(cls):
        files = {}
        with tempfile.TemporaryDirectory() as directory:
            image = Path(directory) / "image"
            for guest in sorted(guests.SOURCE.glob("*.asm")):
                guests.build(guest, CPUS if guests.notes(guest, "cpus") else 1, image)
                files[f"bare/{guest.stem}"] = image.read_bytes()
                for kib in guests.notes(guest, "floppy"):
                    guests.make_floppy(image, int(kib))
                    files[f"bare/{guest.stem}.floppy"] = image.read_bytes()
        return files

    def line(self, guest):
        options = " ".join(guests.notes(guest, "run")).split()
        if guests.notes(guest, "cpus"):
            options += ["--cpus", CPUS]
        if guests.notes(guest, "floppy"):
            options += ["--floppy", self.rig.path(f"bare/{guest.stem}.floppy")]
        return " ".join(["timeout", "-s", "KILL", str(int(guests.LIMIT_SECONDS)), self.rig.path("banyan"), "run",
                         "--engine kvm --memory 64M --console none --no-reboot", "--debug-exit", guests.EXIT_PORT,
                         "--debugcon /tmp/banyan-bare.log --kernel", self.rig.path(f"bare/{guest.stem}"), *options])

    def test_all(self):
        for guest in sorted(guests.SOURCE.glob("*.asm")):
            if self.rig.nested and guest.stem in TCG_FAILS:
                continue
            with self.subTest(guest.stem):
                wanted = int((guests.notes(guest, "status") or [guests.PASSED])[0])
                said, status = self.rig.run(self.line(guest), 2 * guests.LIMIT_SECONDS)
                self.assertEqual(status, wanted, said + self.rig.run("cat /tmp/banyan-bare.log")[0])


if __name__ == "__main__":
    main()
