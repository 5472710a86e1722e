#!/usr/bin/env python3
"""What several CPUs of a guest give, and what an idle guest costs.

    smp.py --banyan PROGRAM --guests DIRECTORY [--engine NAME] [--runs N] [--clock wall|cpu] [--idle SECONDS]

Scaling: each program runs once on a guest with one CPU, then twice at the same time on a guest with two; the scaling is how
many times more work was done in a second. A host's two CPUs are not always equal (a neighbour has a part of one): so, in
between, a native program runs once and then on each of the two, to show what two CPUs were worth in that minute. It does not
move the bar. With --clock cpu a second is one of the monitor's processor time on each of two
host CPUs: for a host that is busy with something else, which then shows what the CPUs cost each other and nothing of
waiting. Idle: processor time of the monitor while its guest sits at the shell's prompt. Both have bars; the status is 1
when one is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from peers import PROMPT, Banyan, Failure, chunks, cpu_seconds, end_by_signal, lines, running, say, take_priority

PROGRAMS = "/usr/lib/banyan/suite/programs"
WORK = {
    "python": f"python3 {PROGRAMS}/loops.py 100",
    "lua": f"lua5.4 {PROGRAMS}/loops.lua 400",
    "shell": f"dash {PROGRAMS}/loops.sh 70000",
}
LIMIT = 300
SCALING_BAR = 1.8
HOST_WORK = "s = 0\nfor i in range(12_000_000): s += i * i % 7"
IDLE_BAR = 1.0  # per cent of a host CPU
SETTLE = 5  # seconds from the prompt until a guest counts as idle


def guest_commands(copies):
    """Each program so many at a time: once for its files and each CPU's translations, then between two lines."""
    steps = []
    for name, command in WORK.items():
        at_once = " ".join([f"{command} >/dev/null &"] * copies) + " wait"
        steps.append(f"{at_once}; echo begin {name}; {at_once}; echo end {name}")
    return "; ".join(steps)


def work_times(monitor, guests, copies, clock):
    """{program: seconds of that clock}."""
    append = f'console=ttyS0 quiet root=/dev/vda ro banyan.run="{guest_commands(copies)}"'
    command = monitor.disk(str(guests / "kernel/vmlinuz"), str(guests / "shell/initramfs"), append,
                           str(guests / "suite/disk.img"))
    begun, result = {}, {}
    with running(command) as process:
        for when, words in lines(process, LIMIT):
            if words[:1] == ["begin"]:
                begun[words[1]] = getattr(when, clock)
            elif words[:1] == ["end"]:
                result[words[1]] = getattr(when, clock) - begun[words[1]]
    if result.keys() != WORK.keys():
        raise Failure("a guest ended before its programs did")
    return result


def native_seconds(copies):
    """The native work so many times at once, each on a CPU of its own."""
    begun = time.monotonic()
    cpus = sorted(os.sched_getaffinity(0))[:copies]
    running_now = [subprocess.Popen(["taskset", "--cpu-list", str(cpu), sys.executable, "-c", HOST_WORK]) for cpu in cpus]
    if any(process.wait() != 0 for process in running_now):
        raise Failure("the native program failed")
    return time.monotonic() - begun


def host_scaling():
    return 2 * native_seconds(1) / native_seconds(2)


def scaling(options, cpus):
    """({program: median of how many times more work two CPUs do}, the same of the host itself)."""
    found = {name: [] for name in WORK}
    host = [host_scaling()]
    for run in range(1, options.runs + 1):
        say(f"smp: run {run} of {options.runs}: the programs on one CPU, then on two ...")
        one = work_times(cpus[1], options.guests, 1, options.clock)
        two = work_times(cpus[2], options.guests, 2, options.clock)
        for name, values in found.items():
            # Processor time of two programs is spread over two host CPUs.
            values.append(2 * one[name] / (two[name] if options.clock == "wall" else two[name] / 2))
        host.append(host_scaling())
    return {name: statistics.median(values) for name, values in found.items()}, statistics.median(host)


def idle_cost(monitor, options):
    """Per cent of a host CPU."""
    command = monitor.boot(str(options.guests / "kernel/vmlinuz"), str(options.guests / "shell/initramfs"), "console=ttyS0")
    seen = b""
    with running(command, subprocess.PIPE) as process:
        for _, data in chunks(process, LIMIT):
            seen += data
            if PROMPT in seen:
                break
        else:
            raise Failure("the guest ended before the shell's prompt came")
        time.sleep(SETTLE)
        before = cpu_seconds(process)
        time.sleep(options.idle)
        return 100 * (cpu_seconds(process) - before) / options.idle


def report(title, value, unit, good, bar):
    print(f"{title:<28}{value:>8.2f} {unit:<18}{'pass' if good else 'FAIL'} (bar: {bar})", flush=True)
    return good


def measure(options):
    cpus = {count: Banyan(str(Path(options.banyan).resolve()), options.engine, count) for count in (1, 2)}
    good = True
    for count, monitor in cpus.items():
        say(f"smp: an idle guest with {count} CPU{'s' if count > 1 else ''} for {options.idle:g} s ...")
        cost = idle_cost(monitor, options)
        good &= report(f"idle, {count} CPU{'s' if count > 1 else ''}", cost, "% of a host CPU", cost < IDLE_BAR,
                       f"under {IDLE_BAR:g} %")
    found, host = scaling(options, cpus)
    print(f"{'the host itself':<28}{host:>8.2f} times (wall)", flush=True)
    for name, times in found.items():
        good &= report(f"{name} on two CPUs", times, f"times ({options.clock})", times >= SCALING_BAR,
                       f"at least {SCALING_BAR:g}")
    return good


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banyan", required=True, help="the program")
    parser.add_argument("--guests", required=True, type=Path, help="what scripts/guests/prepare.sh made")
    parser.add_argument("--engine", default=os.environ.get("ENGINE") or None)
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS", "3")))
    parser.add_argument("--clock", choices=("wall", "cpu"), default=os.environ.get("CLOCK", "wall"),
                        help="what a second of the scaling is")
    parser.add_argument("--idle", type=float, default=30, help="seconds")
    return parser.parse_args()


def main():
    options = arguments()
    take_priority()
    end_by_signal()
    try:
        return 0 if measure(options) else 1
    except (Failure, OSError) as error:
        say(f"cannot measure: {error}; run the command by hand to see more")
        return 1


if __name__ == "__main__":
    sys.exit(main())
