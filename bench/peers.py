"""What is measured side by side: Banyan, QEMU's TCG, and this machine itself; how each is started, read and timed.

The host takes all times, from the start of a program or between two lines on its console: no guest's clock has a part
in it.
"""

import collections
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

PROMPT = b"banyan:/# "
BOOT_LIMIT = 300
CPUCLOCK_SCHED = 2  # include/linux/posix-timers_types.h
EXIT_PORT = 0xF4
EXIT_STATUS = 0x10 << 1 | 1  # what bench/guest.S writes to the exit port, as both monitors report it


class Failure(Exception):
    pass


def say(text):
    print(f"banyan: {text}", file=sys.stderr, flush=True)


class Banyan:
    def __init__(self, program, engine, cpus=1):
        self.name = f"banyan ({engine})" if engine else "banyan"
        self.start = [program, "run"] + (["--engine", engine] if engine else []) + ["--cpus", str(cpus), "--net", "none", "--no-reboot"]

    def boot(self, kernel, initrd, append):
        return self.start + ["--memory", "512M", "--kernel", kernel, "--initrd", initrd, "--append", append]

    def bare(self, kernel, append):
        return self.start + ["--memory", "512M", "--debug-exit", hex(EXIT_PORT), "--kernel", kernel, "--append", append]

    def disk(self, kernel, initrd, append, disk):
        """With a disk that is not written to, and more memory."""
        return self.start + ["--memory", "1G", "--kernel", kernel, "--initrd", initrd, "--append", append,
                             "--disk", f"{disk},readonly=on"]


class Qemu:
    name = "qemu (tcg)"
    start = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-M", "q35", "-smp", "1", "-nodefaults",
             "-display", "none", "-serial", "stdio", "-no-reboot"]

    def boot(self, kernel, initrd, append):
        return self.start + ["-m", "512M", "-kernel", kernel, "-initrd", initrd, "-append", append]

    def bare(self, kernel, append):
        return self.start + ["-m", "512M", "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4", "-kernel", kernel,
                             "-append", append]

    def disk(self, kernel, initrd, append, disk):
        return self.start + ["-m", "1G", "-kernel", kernel, "-initrd", initrd, "-append", append,
                             "-drive", f"file={disk},format=raw,if=virtio,readonly=on,file.locking=off"]


def take_priority():
    """So that a line is seen when it comes, also on a busy host; what is started from here runs as usual."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def end_by_signal():
    """Being asked to end takes the way of an exception, so that nothing that was started stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextlib.contextmanager
def running(command, stdin=subprocess.DEVNULL):
    """The program with its console on a pipe; it is ended, with its own children, when the block is left."""
    errors = tempfile.TemporaryFile()
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
    try:
        yield process
    except Failure as failure:
        errors.seek(0)
        message = errors.read().decode(errors="replace").strip()
        raise Failure(f"{failure}; it said: {message or 'nothing'}") from None
    finally:
        if process.returncode is None:  # nobody has waited for it: the number is still its own
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        if process.stdin:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        errors.close()


Times = collections.namedtuple("Times", "wall cpu")


def cpu_seconds(process):
    """The processor time of all of its threads, also of those that have ended, and of the children it has waited for.

    The clock of a process has a number made of its id (clock_getcpuclockid(3)); it can be read until the process is
    waited for, which matters for the last line before a guest ends. That of the children comes in ticks (proc(5)).
    """
    with open(f"/proc/{process.pid}/stat", encoding="ascii", errors="replace") as file:
        after_name = file.read().rpartition(")")[2].split()
    children = sum(int(ticks) for ticks in after_name[13:15]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(~process.pid << 3 | CPUCLOCK_SCHED) + children


def chunks(process, limit):
    """What comes on the console, each piece with the times: since this was called, and of the processor."""
    start = time.monotonic()
    descriptor = process.stdout.fileno()
    while True:
        left = start + limit - time.monotonic()
        ready, _, _ = select.select([descriptor], [], [], max(left, 0))
        if not ready:
            raise Failure(f"{process.args[0]} took more than {limit:g} s")
        data = os.read(descriptor, 65536)
        if not data:
            return
        yield Times(time.monotonic() - start, cpu_seconds(process)), data


def lines(process, limit):
    """The same by whole lines, each as a list of its words."""
    line = b""
    for when, data in chunks(process, limit):
        *whole, line = (line + data).split(b"\n")
        for text in whole:
            yield when, text.decode(errors="replace").split()


def boot_times(command):
    """From the start of the program to the shell's prompt."""
    seen = b""
    with running(command) as process:
        for when, data in chunks(process, BOOT_LIMIT):
            seen += data
            if PROMPT in seen:
                return when
        raise Failure(f"{command[0]} ended with {process.wait()} before the shell's prompt came")
