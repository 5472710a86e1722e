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
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from peers import EXIT_STATUS, Banyan, Failure, Qemu, boot_times, end_by_signal, lines, running, say, take_priority

HERE = Path(__file__).resolve().parent
SPEED_LIMIT = 300


def speeds(command, clock):
    """{workload: count a second of that clock}."""
    result = {}
    begun = {}
    with running(command) as process:
        for when, words in lines(process, SPEED_LIMIT):
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
    take_priority()
    end_by_signal()
    engines = options.engine or [os.environ.get("ENGINE") or None]
    monitors = [Banyan(str(Path(options.banyan).resolve()), engine) for engine in engines] + [Qemu()]
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
