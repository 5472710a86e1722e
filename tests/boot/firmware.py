"""Drives a machine that firmware boots: its serial port, and its screen in text mode.

What harness.py says of the environment holds here as well; and, for those who make a guest and want to know that it is right:
  BANYAN_PEER     "qemu" runs the same machine under QEMU's TCG instead of Banyan
  BANYAN_OVMF     the directory of QEMU's OVMF_CODE_4M.fd and OVMF_VARS_4M.fd (default: where Debian's package ovmf has them)
"""

import dataclasses
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from harness import SLOW, Console, Unexpected, vmm_path

PEER = os.environ.get("BANYAN_PEER", "banyan")
SCREEN_BYTES = 80 * 25 * 2


@dataclasses.dataclass
class FirmwareMachine:
    """What is asked of a monitor. A disk is a file and the bus it is on: virtio, ahci, ide or nvme."""

    firmware: str = "bios"  # or uefi, or a file
    disks: tuple = ()
    cdroms: tuple = ()
    floppies: tuple = ()
    memory: str = "256M"
    cpus: int = 1
    vga: bool = True


def banyan_firmware_command(machine, directory):
    command = [str(vmm_path()), "run", "--name", Path(directory).name, "--machine", "pc", "--firmware", machine.firmware]
    command += ["--memory", machine.memory, "--cpus", str(machine.cpus), "--no-reboot"]
    for file, bus in machine.disks:
        command += ["--disk", f"{file},bus={bus}"]
    for file in machine.cdroms:
        command += ["--cdrom", str(file)]
    for file in machine.floppies:
        command += ["--floppy", str(file)]
    if not machine.vga:
        command += ["--vga", "off"]
    if "BANYAN_ENGINE" in os.environ:
        command += ["--engine", os.environ["BANYAN_ENGINE"]]
    return command


def qemu_firmware(machine, directory):
    if machine.firmware == "bios":
        # SeaBIOS's console on the first serial port as well, as Banyan asks for it.
        port = Path(directory) / "sercon-port"
        port.write_bytes((0x3F8).to_bytes(2, "little"))
        return ["-fw_cfg", f"name=etc/sercon-port,file={port}"]
    if machine.firmware != "uefi":
        return ["-bios", str(machine.firmware)]
    ovmf = Path(os.environ.get("BANYAN_OVMF", "/usr/share/OVMF"))
    variables = Path(directory) / "variables.fd"
    shutil.copyfile(ovmf / "OVMF_VARS_4M.fd", variables)
    return ["-drive", f"if=pflash,unit=0,readonly=on,format=raw,file={ovmf}/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables}"]


def qemu_disk(number, file, bus):
    name, options = (str(file).split(",", 1) + ["format=raw"])[:2]
    device = {"virtio": "virtio-blk-pci", "ahci": f"ide-hd,bus=ide.{number}", "nvme": f"nvme,serial=disk{number}"}[bus]
    return ["-drive", f"file={name},{options},if=none,id=disk{number}", "-device", f"{device},drive=disk{number},bootindex={number}"]


def qemu_firmware_command(machine, directory):
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-M", "q35", "-display", "none", "-nodefaults", "-vga", "std" if machine.vga else "none"]
    command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-no-reboot"]
    command += ["-monitor", f"unix:{directory}/monitor,server=on,wait=off"]
    command += ["-m", machine.memory, "-smp", str(machine.cpus)] + qemu_firmware(machine, directory)
    for number, (file, bus) in enumerate(machine.disks):
        command += qemu_disk(number, file, bus)
    for number, file in enumerate(machine.cdroms, start=len(machine.disks)):
        command += ["-drive", f"file={file},format=raw,if=none,readonly=on,id=disk{number}"]
        command += ["-device", f"ide-cd,bus=ide.{number},drive=disk{number},bootindex={number}"]
    for file in machine.floppies:
        command += ["-drive", f"file={file},format=raw,if=floppy,readonly=on"]
    return command


class QemuMonitor:
    """QEMU's human monitor: the screen, out of the memory of the text mode."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(str(path))
            self._answer()
        except OSError:
            self.socket.close()
            raise

    def _answer(self):
        answer = b""
        while not answer.endswith(b"(qemu) "):
            if not select.select([self.socket], [], [], 30)[0]:
                raise TimeoutError("QEMU's monitor does not answer")
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("QEMU has ended")
            answer += more
        return answer.decode(errors="replace")

    def _command(self, text):
        self.socket.sendall(text.encode() + b"\n")
        return self._answer()

    def screen(self):
        lines = re.findall(r"^[0-9a-f]+: (.*?)\r?$", self._command(f"xp /{SCREEN_BYTES}xb 0xb8000"), re.MULTILINE)
        characters = [int(byte, 16) for line in lines for byte in line.split()][::2]
        text = "".join(chr(code) if 32 <= code < 127 else " " for code in characters)
        return "\n".join(text[at:at + 80].rstrip() for at in range(0, len(text), 80))

    def close(self):
        self.socket.close()


class BanyanControl:
    """The same by banyan's own command."""

    def __init__(self, name):
        self.name = name

    def screen(self):
        command = [str(vmm_path()), "screenshot", self.name, "--text"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30 * SLOW)
        if result.returncode != 0:
            raise RuntimeError(f"banyan screenshot: {result.returncode}: {result.stderr}")
        return result.stdout

    def close(self):
        pass


class FirmwareConsole(Console):
    """The console of such a machine, with its screen."""

    def __init__(self, machine):
        self.directory = tempfile.TemporaryDirectory(prefix="banyan-firmware-")
        make = qemu_firmware_command if PEER == "qemu" else banyan_firmware_command
        super().__init__(make(machine, self.directory.name))
        self._control = None

    def __exit__(self, *arguments):
        if self._control:
            self._control.close()
        super().__exit__(*arguments)
        self.directory.cleanup()

    def control(self):
        if not self._control:
            if PEER == "qemu":
                self._control = QemuMonitor(Path(self.directory.name) / "monitor")
            else:
                self._control = BanyanControl(Path(self.directory.name).name)
        return self._control

    def type(self, line):
        """Types a line no faster than it is echoed: a BIOS keeps fifteen keys, and drops what comes on top."""
        for character in line:
            self.send(character)
            self.expect(re.escape(character))
        self.send("\r")

    def expect_screen(self, pattern, seconds=30):
        """Waits until the pattern is on the screen, and returns the screen's text."""
        deadline = time.monotonic() + seconds * SLOW
        self._expect_start()
        while True:
            self._read_some(0.5)
            screen = self.control().screen()
            if re.search(pattern, screen, re.MULTILINE):
                return screen
            if self.process.poll() is not None:
                raise Unexpected(f"it ended with {self.process.returncode} before {pattern!r} was on the screen", self)
            if time.monotonic() > deadline:
                raise Unexpected(f"{pattern!r} was not on the screen within {seconds * SLOW:.0f} s:\n{screen}", self)

    def _expect_start(self):
        """The monitor has made its sockets a moment after its start."""
        deadline = time.monotonic() + 30 * SLOW
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.control().screen()
                return
            except (OSError, RuntimeError):
                self._control = None
                self._read_some(0.2)
