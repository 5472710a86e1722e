#!/usr/bin/env python3
"""Speed of each mode of the processor: modes.py --banyan PROGRAM [--engine NAME] [--runs N] [--clock ...]

Loops of five kinds in real mode, 16-bit and 32-bit protected mode, 32-bit with paging, and 64-bit mode (modes.asm); millions
of instructions a second, medians of the runs. QEMU is left out: the guest does not run there (#GP at its far call in
64-bit code; why was not found out). The bar is 30 for each; the status is 1 when one is missed.
"""

import argparse
import collections
import os
import statistics
import subprocess
import sys
from pathlib import Path

from bench import speeds
from peers import Banyan, Failure, end_by_signal, say, take_priority

HERE = Path(__file__).resolve().parent
BARE_GUESTS = HERE.parent / "tests/guests"
BAR = 30


def build_guest(directory):
    """Assembles bench/modes.asm."""
    directory.mkdir(parents=True, exist_ok=True)
    item, image = directory / "modes.o", directory / "modes"
    subprocess.run(["nasm", "-f", "elf32", "-w+error", "-w-zext-reloc", f"-I{BARE_GUESTS}/", HERE / "modes.asm", "-o", item],
                   check=True)
    subprocess.run(["ld", "-m", "elf_i386", "--no-warn-rwx-segments", "-z", "noexecstack", "-T", BARE_GUESTS / "link.ld",
                    "-o", image, item], check=True)
    return str(image)


def measure(monitor, guest, options):
    """{loop: millions a second}."""
    rates = collections.defaultdict(list)
    for run in range(1, options.runs + 1):
        say(f"modes: run {run} of {options.runs} ...")
        for loop, rate in speeds(monitor.bare(guest, "1"), options.clock).items():
            rates[loop].append(rate / 1e6)
    return {loop: statistics.median(values) for loop, values in rates.items()}


def print_table(rates):
    good = True
    for loop, rate in rates.items():
        good &= rate >= BAR
        print(f"{loop:<20}{rate:>10.1f} MIPS  {'pass' if rate >= BAR else 'FAIL'} (bar: {BAR})")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banyan", required=True, help="the program")
    parser.add_argument("--engine", default=os.environ.get("ENGINE") or None)
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS", "3")))
    parser.add_argument("--clock", choices=("wall", "cpu"), default=os.environ.get("CLOCK", "wall"),
                        help="what a second of the speeds is")
    options = parser.parse_args()
    take_priority()
    end_by_signal()
    monitor = Banyan(str(Path(options.banyan).resolve()), options.engine)
    try:
        rates = measure(monitor, build_guest(HERE.parent / "build/bench"), options)
    except (Failure, OSError, subprocess.CalledProcessError) as error:
        say(f"cannot measure: {error}; run the command by hand to see more")
        return 1
    return 0 if print_table(rates) else 1


if __name__ == "__main__":
    sys.exit(main())
