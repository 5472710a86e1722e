#!/usr/bin/env python3
"""Compares Banyan with QEMU's TCG in one run: boot time, and the speed of a guest's instructions.

    bench.py --banyan PROGRAM --guests DIRECTORY [--engine NAME...] [--runs N] [--clock wall|cpu]
             [--json FILE]

Both get the same kernel, initramfs, command line, memory and number of CPUs. Runs alternate, so that what else the host
does meets both; the median of the runs counts. The host takes all times, from the start of the program or between two
lines on the guest's console: no guest's clock has a part in it. With --clock cpu the speeds count the processor time
that the monitor used instead of the time that passed: for a host that is busy with something else.
"""

import argparse
import collections
import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROMPT = b"banyan:/# "
BOOT_LIMIT = 300
SPEED_LIMIT = 300
CPUCLOCK_SCHED = 2  # include/linux/posix-timers_types.h
EXIT_PORT = 0xF4
EXIT_STATUS = 0x10 << 1 | 1  # what bench/guest.S writes to the exit port, as both monitors report it


class Failure(Exception):
    pass


def say(text):
    print(f"banyan: {text}", file=sys.stderr, flush=True)


class Banyan:
    def __init__(self, program, engine):
        self.name = f"banyan ({engine})" if engine else "banyan"
        self.start = [program, "run"] + (["--engine", engine] if engine else [])

    def boot(self, kernel, initrd, append):
        return self.start + ["--memory", "512M", "--cpus", "1", "--no-reboot", "--kernel", kernel, "--initrd", initrd,
                             "--append", append]

    def bare(self, kernel, append):
        return self.start + ["--memory", "512M", "--cpus", "1", "--no-reboot", "--debug-exit", hex(EXIT_PORT),
                             "--kernel", kernel, "--append", append]


class Qemu:
    name = "qemu (tcg)"
    start = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-M", "q35", "-m", "512M", "-smp", "1", "-nodefaults",
             "-display", "none", "-serial", "stdio", "-no-reboot"]

    def boot(self, kernel, initrd, append):
        return self.start + ["-kernel", kernel, "-initrd", initrd, "-append", append]

    def bare(self, kernel, append):
        return self.start + ["-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4", "-kernel", kernel,
                             "-append", append]


@contextlib.contextmanager
def running(command):
    """The program with its console on a pipe; it is ended, by its own pid, when the block is left."""
    errors = tempfile.TemporaryFile()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
    try:
        yield process
    except Failure as failure:
        errors.seek(0)
        message = errors.read().decode(errors="replace").strip()
        raise Failure(f"{failure}; it said: {message or 'nothing'}") from None
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        errors.close()


Times = collections.namedtuple("Times", "wall cpu")


def cpu_seconds(process):
    """The processor time of all of its threads, also of those that have ended.

    The clock of a process has a number made of its id (clock_getcpuclockid(3)); it can be read until the process is
    waited for, which matters for the last line before a guest ends.
    """
    return time.clock_gettime(~process.pid << 3 | CPUCLOCK_SCHED)


def chunks(process, limit):
    """What comes on the console, each piece with the times since the start."""
    start = time.monotonic()
    descriptor = process.stdout.fileno()
    while True:
        left = start + limit - time.monotonic()
        ready, _, _ = select.select([descriptor], [], [], max(left, 0))
        if not ready:
            raise Failure(f"{process.args[0]} took more than {limit} s")
        data = os.read(descriptor, 65536)
        if not data:
            return
        yield Times(time.monotonic() - start, cpu_seconds(process)), data


def boot_times(command):
    seen = b""
    with running(command) as process:
        for when, data in chunks(process, BOOT_LIMIT):
            seen += data
            if PROMPT in seen:
                return when
        raise Failure(f"{command[0]} ended with {process.wait()} before the shell's prompt came")


def speeds(command, clock):
    """{workload: count a second of that clock}."""
    result = {}
    begun = {}
    line = b""
    with running(command) as process:
        for when, data in chunks(process, SPEED_LIMIT):
            *lines, line = (line + data).split(b"\n")
            for words in (whole.decode(errors="replace").split() for whole in lines):
                if words[:1] == ["begin"]:
                    begun[words[1]] = getattr(when, clock)
                elif words[:1] == ["end"]:
                    elapsed = getattr(when, clock) - begun[words[1]]
                    if elapsed <= 0:
                        raise Failure(f"{command[0]} took no measurable time for {words[1]}: the host is too busy, or --scale too small")
                    result[words[1]] = int(words[2]) / elapsed
        status = process.wait()
        if status != EXIT_STATUS or not result:
            raise Failure(f"{command[0]} ended with {status} instead of {EXIT_STATUS}")
    return result


def build_guest(directory):
    """Assembles bench/guest.S."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "guest.elf"
    flags = ["-nostdlib", "-static", "-no-pie", "-fuse-ld=bfd", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
             "-Wl,--no-warn-rwx-segments"]
    subprocess.run(["gcc", *flags, "-Wl,-T," + str(HERE / "guest.ld"), "-o", program, HERE / "guest.S"], check=True)
    return str(program)


def measure(monitors, guests, bare_guest, options):
    boots = collections.defaultdict(list)
    rates = collections.defaultdict(lambda: collections.defaultdict(list))
    kernel, initrd = str(guests / "kernel/vmlinuz"), str(guests / "shell/initramfs")
    for run in range(1, options.runs + 1):
        for monitor in monitors:
            say(f"bench: run {run} of {options.runs}: {monitor.name} ...")
            boots[monitor.name].append(boot_times(monitor.boot(kernel, initrd, "console=ttyS0")))
            for workload, rate in speeds(monitor.bare(bare_guest, str(options.scale)), options.clock).items():
                rates[workload][monitor.name].append(rate)
    return {
        "boot_seconds": {name: statistics.median(times.wall for times in runs) for name, runs in boots.items()},
        "boot_cpu_seconds": {name: statistics.median(times.cpu for times in runs) for name, runs in boots.items()},
        "rates": {workload: {name: statistics.median(values) for name, values in by_name.items()}
                  for workload, by_name in rates.items()},
    }


def print_table(results, names):
    """One row a measurement: the value of each monitor, then each of Banyan's as a ratio to QEMU's."""
    *ours, peer = names

    def row(title, unit, values, factor):
        cells = [f"{values[name] * factor:.2f}" for name in names]
        ratios = [f"{values[name] / values[peer]:.3f}" for name in ours]
        print(f"{title:<8}{unit:<6}" + "".join(f"{cell:>17}" for cell in cells + ratios))

    print(" " * 14 + "".join(f"{name:>17}" for name in names) + "".join(f"{'ratio':>17}" for _ in ours))
    row("boot", "s", results["boot_seconds"], 1)
    row("boot", "cpu s", results["boot_cpu_seconds"], 1)
    for workload, values in results["rates"].items():
        row(workload, "MB/s" if workload == "copy" else "MIPS", values, 1e-6)
    print("\nA ratio is Banyan to QEMU: of times for boot (less is better), of speeds below (more is better).")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banyan", required=True, help="the program")
    parser.add_argument("--guests", required=True, type=Path, help="what scripts/guests/prepare.sh made")
    parser.add_argument("--engine", action="append", help="an engine to measure; may be repeated (default: Banyan's choice)")
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS", "3")))
    parser.add_argument("--clock", choices=("wall", "cpu"), default=os.environ.get("CLOCK", "wall"),
                        help="what a second of the speeds is")
    parser.add_argument("--scale", type=int, choices=range(1, 10), default=1, help="how much work, 1 to 9")
    parser.add_argument("--json", type=Path, help="write the medians to this file too")
    return parser.parse_args()


def main():
    options = arguments()
    # So that a line is seen when it comes, also on a busy host; what is started from here runs as usual.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    monitors = [Banyan(str(Path(options.banyan).resolve()), engine) for engine in options.engine or [None]] + [Qemu()]
    try:
        bare_guest = build_guest(HERE.parent / "build/bench")
        results = measure(monitors, options.guests, bare_guest, options)
    except (Failure, OSError, subprocess.CalledProcessError) as error:
        say(f"cannot compare: {error}; run the command by hand to see more")
        return 1
    print_table(results, [monitor.name for monitor in monitors])
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
