#!/usr/bin/env python3
"""Systems that firmware boots, by engine kvm: systems_check.py [SystemsTest.test_NAME...]

The tests of tests/boot/systems_test.py, each in a rig of its own (rig.py), or directly where this machine's KVM has hardware.
Too long for every run of the tests: a system takes half a minute to several. What they boot is made by scripts/guests/prepare.sh;
BANYAN_SLOW=3 gives them the time that they need under TCG. What looks at the screen is not here.
"""

import contextlib
import os
import re
import shlex
import sys
import time
import unittest
from pathlib import Path

from rig import PROMPT, open_shell

import systems_test  # noqa: E402  # of tests/boot, to which rig.py has made the way
from firmware import FirmwareConsole, FirmwareMachine  # noqa: E402
from harness import SLOW, Unexpected  # noqa: E402

PLACED = re.compile(r"\x1b\[\d+;(\d+)H")  # the cursor
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
FIRMWARE = ("/usr/share/seabios", "/usr/share/OVMF")


def firmware_files():
    """Where the rig looks for them, by where they are here; links are followed."""
    files = [Path(folder, name) for folder in FIRMWARE for name in os.listdir(folder)]
    return {str(file)[1:]: file.resolve() for file in files if file.is_file()}


class Machine:
    """A FirmwareConsole's machine, started in a rig; what happens on the rig's console is its console."""

    def __init__(self, machine):
        self.seen = 0  # of the text, by expect()
        self.files = []  # what the rig has as disks, in this order
        command = ["run", "--engine", "kvm", "--machine", "pc", "--no-reboot", "--memory", machine.memory]
        command += ["--cpus", str(machine.cpus)] + ([] if machine.vga else ["--vga", "off"])
        self.extra = firmware_files()
        if machine.firmware not in ("bios", "uefi"):
            self.extra["firmware.rom"] = machine.firmware
        for file, bus in machine.disks:
            command += ["--disk", f"{self.medium(file)},bus={bus}"]
        for kind, files in (("--cdrom", machine.cdroms), ("--floppy", machine.floppies)):
            for file in files:
                command += [kind, self.medium(file).split(",")[0]]
        options = ["-m", "2G"]
        for file in self.files:
            options += ["-drive", f"file={file},format=raw,if=virtio,snapshot=on"]
        self.stack = contextlib.ExitStack()
        self.shell = self.stack.enter_context(open_shell(self.extra, options))
        if self.shell.nested:
            self.shell.shell("modprobe -a virtio_pci virtio_blk; mkdir -p /usr/share && ln -s /rig/usr/share/* /usr/share/")
        rom = self.shell.path("firmware.rom") if "firmware.rom" in self.extra else machine.firmware
        command = [self.shell.path("banyan"), *command, *self.shell.cpu_options, "--firmware", rom]
        self.shell.prompt = PROMPT
        self.shell.send(shlex.join(command) + "\n")

    def medium(self, file):
        """A file of this machine as the rig's banyan names it."""
        name, _, options = str(file).partition(",")
        self.files.append(name)
        return f"/dev/vd{'abcdef'[len(self.files) - 1]},{options or 'format=raw'}"

    def __getattr__(self, name):
        return getattr(self.shell, name)

    def expect(self, pattern, seconds=30):
        """As Console.expect(), in what a reader of the screen sees: SeaBIOS places the cursor anew wherever a guest is slow."""
        deadline = time.monotonic() + seconds * SLOW
        while time.monotonic() < deadline:
            more = self.shell._read_some(0.1)
            plain = PLACED.sub(lambda place: "\n" if place.group(1) == "01" else "", self.shell.transcript)
            match = re.compile(pattern, re.MULTILINE).search(STYLE.sub("", plain), self.seen)
            if match:
                self.seen = match.end()
                return match
            if not more and self.shell.process.poll() is not None:
                break
        raise Unexpected(f"{pattern!r} did not come", self.shell)

    type = FirmwareConsole.type


class SystemsTest(systems_test.SystemsTest):
    def boot(self, **machine):
        console = Machine(FirmwareMachine(**machine))
        self.addCleanup(console.stack.close)
        return console

    def copy(self, name):
        """The rig's disks forget what is written."""
        return systems_test.guest_file(name)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
