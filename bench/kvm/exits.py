#!/usr/bin/env python3
"""What an exit to user space costs under Banyan, beside the least that KVM's interface asks for.

    exits.py [--runs N]

The same guest (exits.asm) leaves for a port and an address where nothing is, and for a chip's register, under `banyan run --engine kvm` and
under kvm_loop.cpp, which answers everything with zeroes: alternately, in one rig (tests/nested/rig.py: the nested one, or
this machine's own KVM where that has hardware behind it). The guest counts its own cycles; nested, one instruction is one
nanosecond of QEMU's time, so that a busy host changes nothing. Bar: at least 0.9 of the bare loop's exits a second, where
there is no chip whose work Banyan does and the loop does not.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/nested"))

import rig as rigs  # noqa: E402

BAR = 0.9
LIMIT = 120
COUNTED = ("-icount", "shift=0,sleep=off")
WAYS = ("port_write", "port_read", "memory_write", "memory_read", "chip_read")
WITHOUT_BAR = ("chip_read",)


def build(directory):
    loop = directory / "kvm_loop"
    subprocess.run(["g++", "-std=c++20", "-O2", "-static", "-Wall", "-Wextra", str(HERE / "kvm_loop.cpp"), "-o", str(loop)], check=True)
    guest = directory / "exits"
    rigs.guests.build(HERE / "exits.asm", 1, guest)
    return {"kvm_loop": loop, "exits": guest}


def cycles(text):
    found = {name: int(value, 16) for name, value in re.findall(r"(\w+) ([0-9a-f]{8})\b", text)}
    missing = [way for way in WAYS if way not in found]
    if missing:
        raise SystemExit(f"banyan: exits: the guest did not tell {', '.join(missing)}: {text!r}; run it by hand to see more")
    return found


def banyan(shell):
    log = "/tmp/banyan-exits"
    shell.run(f"{shell.path('banyan')} run --engine kvm {' '.join(shell.cpu_options)} --memory 64M --console none --no-reboot "
              f"--debug-exit 0xf4 --debugcon {log} --kernel {shell.path('exits')} 2>&1", LIMIT)
    return cycles(shell.shell(f"cat {log}; rm {log}"))


def bare(shell):
    return cycles(shell.run(f"{shell.path('kvm_loop')} {shell.path('exits')}", LIMIT)[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS", "3")))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        files = build(Path(directory))
        with rigs.open_shell(files, COUNTED) as shell:
            results = [(banyan(shell), bare(shell)) for _ in range(options.runs)]
    print(f"{'exit':<16}{'banyan':>12}{'bare loop':>12}{'speed':>8}   (cycles of the guest's counter for 20,000)")
    good = True
    for way in WAYS:
        ours = statistics.median(result[0][way] for result in results)
        theirs = statistics.median(result[1][way] for result in results)
        passed = theirs / ours >= BAR
        verdict = "" if way in WITHOUT_BAR else f"{'pass' if passed else 'FAIL'} (bar: {BAR})"
        good &= passed or way in WITHOUT_BAR
        print(f"{way:<16}{ours:>12.0f}{theirs:>12.0f}{theirs / ours:>8.2f}   {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
