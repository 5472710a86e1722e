"""Drives a virtual machine monitor on a pseudo-terminal, as a person at its console would. Standard library only.

Where the pieces are stands in the environment, which tests/boot/CMakeLists.txt sets:
  BANYAN_VMM      the program under test
  BANYAN_GUESTS   what scripts/guests/prepare.sh made
  BANYAN_ENGINE   the engine to ask for (default: Banyan's own choice)
  BANYAN_SLOW     a factor on every time limit, for sanitizers and busy machines (default 1)
"""

import contextlib
import dataclasses
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMPT = r"banyan:/\S*# "
BOOT_SECONDS = 180
SLOW = float(os.environ.get("BANYAN_SLOW", "1"))


def vmm_path():
    return Path(os.environ.get("BANYAN_VMM", ROOT / "build/release/banyan")).resolve()


def guest_file(name):
    """The path of a prepared guest's file; a test without its guest must fail, not pass by being skipped."""
    path = Path(os.environ.get("BANYAN_GUESTS", ROOT / "build/guests")).resolve() / name
    if not path.exists():
        raise FileNotFoundError(f"no {path}: call scripts/guests/prepare.sh {path.parent.name}")
    return str(path)


@dataclasses.dataclass
class Machine:
    """What is asked of a monitor; the defaults are the small guest with its shell."""

    memory: str = "512M"
    cpus: int = 1
    kernel: str = ""
    initrd: str = ""
    append: str = "console=ttyS0"
    disks: tuple = ()
    no_reboot: bool = False
    extra: tuple = ()

    def __post_init__(self):
        self.kernel = self.kernel or guest_file("kernel/vmlinuz")
        self.initrd = self.initrd or guest_file("shell/initramfs")


def banyan_command(machine):
    command = [str(vmm_path()), "run", "--memory", machine.memory, "--cpus", str(machine.cpus)]
    command += ["--kernel", machine.kernel, "--initrd", machine.initrd, "--append", machine.append]
    for disk in machine.disks:
        command += ["--disk", str(disk)]
    if "BANYAN_ENGINE" in os.environ:
        command += ["--engine", os.environ["BANYAN_ENGINE"]]
    if machine.no_reboot:
        command.append("--no-reboot")
    return command + list(machine.extra)


def qemu_command(machine):
    """The same machine under QEMU's TCG, with the devices in Banyan's flavour: virtio 1.0 over PCI."""
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-M", "q35", "-nodefaults", "-display", "none"]
    # Without signal=off, Ctrl-C ends QEMU instead of reaching the guest.
    command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    command += ["-m", machine.memory, "-smp", str(machine.cpus)]
    command += ["-kernel", machine.kernel, "-initrd", machine.initrd, "-append", machine.append]
    command += ["-device", "virtio-rng-pci,disable-legacy=on", "-device", "virtio-serial-pci,disable-legacy=on"]
    command += ["-device", "virtio-balloon-pci,disable-legacy=on"]
    for number, disk in enumerate(machine.disks):
        command += ["-drive", f"file={disk},format=raw,if=none,id=disk{number}"]
        command += ["-device", f"virtio-blk-pci,disable-legacy=on,drive=disk{number}"]
    command += ["-netdev", "user,id=net0", "-device", "virtio-net-pci,disable-legacy=on,netdev=net0,romfile="]
    if machine.no_reboot:
        command.append("-no-reboot")
    return command + list(machine.extra)


def own_directory(test, *variables):
    """A directory for the time of one test, to which these variables of the environment point meanwhile."""
    directory = tempfile.TemporaryDirectory()
    test.addCleanup(directory.cleanup)
    for variable in variables:
        before = os.environ.get(variable)
        test.addCleanup(lambda name=variable, value=before: os.environ.pop(name) if value is None
                        else os.environ.update({name: value}))
        os.environ[variable] = directory.name
    return Path(directory.name)


class Unexpected(AssertionError):
    """Something did not come, or something else did; with the end of what the console showed."""

    def __init__(self, what, console):
        tail = console.transcript[-3000:]
        super().__init__(f"{what}\n--- {console.command[0]}: the console's end ---\n{tail}\n"
                         f"--- standard error ---\n{console.stderr()}")


class Console:
    """A program that runs on a terminal of its own; always to be used in a `with`, which ends it by its own pid."""

    def __init__(self, command):
        self.command = [str(word) for word in command]
        self.transcript = ""
        self.prompt = PROMPT  # what run() waits for
        self.position = 0  # of the transcript: what is before it was expected already
        self.started = time.monotonic()
        self.master, self.slave = pty.openpty()
        self.terminal_before = termios.tcgetattr(self.slave)
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=self.slave, stdout=self.slave, stderr=self.errors,
                                        start_new_session=True, preexec_fn=self._take_terminal)

    @staticmethod
    def _take_terminal():
        import fcntl
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def elapsed(self):
        return time.monotonic() - self.started

    def stderr(self):
        # pread, so that the program's own file position, which is shared with ours, stays where it is.
        return os.pread(self.errors.fileno(), 1 << 20, 0).decode(errors="replace")

    def terminal_is_restored(self):
        return termios.tcgetattr(self.slave) == self.terminal_before

    def _read_some(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.transcript += os.read(self.master, 65536).decode(errors="replace")
        return bool(ready)

    def expect(self, pattern, seconds=30):
        """Waits until the pattern comes after what was expected last, and returns the match."""
        regex = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + seconds * SLOW
        while True:
            ended = self.process.poll() is not None
            more = self._read_some(0 if ended else 0.1)
            match = regex.search(self.transcript, self.position)
            if match:
                self.position = match.end()
                return match
            if ended and not more:
                raise Unexpected(f"it ended with {self.process.returncode} before {pattern!r} came", self)
            if time.monotonic() > deadline:
                raise Unexpected(f"{pattern!r} did not come within {seconds * SLOW:.0f} s", self)

    def send(self, text):
        data = text.encode()
        while data:
            _, ready, _ = select.select([], [self.master], [], 10)
            if not ready:
                raise Unexpected("it does not take input any more", self)
            data = data[os.write(self.master, data):]

    def run(self, command, seconds=30):
        """Runs a command in the guest's shell; returns what it printed and its status.

        The marks are typed with quotes inside, so that the echo of the command is not taken for its output. A line may
        end in more than one carriage return: some monitors leave the terminal's own translation on.
        """
        self.send(f'echo "<""begin>"; {command}; echo "<""end $?>"\n')
        self.expect(r"<begin>\r*\n", seconds)
        start = self.position
        end = self.expect(r"<end (\d+)>\r*\n", seconds)
        self.expect(self.prompt, seconds)
        return re.sub(r"\r+\n", "\n", self.transcript[start:end.start()]), int(end.group(1))

    def wait(self, seconds=30):
        """The exit status, or minus the signal's number, when the program has ended."""
        deadline = time.monotonic() + seconds * SLOW
        while self.process.poll() is None:
            self._read_some(0.1)
            if time.monotonic() > deadline:
                raise Unexpected(f"it did not end within {seconds * SLOW:.0f} s", self)
        while self._read_some(0):
            pass
        return self.process.returncode

    def signal(self, number):
        os.kill(self.process.pid, number)

    def hang_up(self):
        """The terminal goes away, as when a window is closed."""
        os.close(self.slave)
        os.close(self.master)


def kernel_complaints(log):
    """The lines of a kernel's log that say that the machine is not right."""
    return [line for line in log.splitlines()
            if re.search(r"WARNING:|BUG:|Oops|unknown NMI|Uhhuh|soft lockup|rcu: .*stall|[Ff]irmware [Bb]ug", line)]


def report(text):
    """For the log of the test: facts that are good to see, and that nothing depends on."""
    print(text, file=sys.stderr, flush=True)


__all__ = ["BOOT_SECONDS", "Console", "Machine", "PROMPT", "ROOT", "SLOW", "Unexpected", "banyan_command", "guest_file",
           "kernel_complaints", "qemu_command", "report", "signal", "vmm_path"]
