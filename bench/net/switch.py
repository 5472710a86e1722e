#!/usr/bin/env python3
"""What a network's switch carries between two of its members, beside what the host does without it.

    switch.py [--banyan PROGRAM] [--runs N] [--json FILE]

switch_load.cpp carries frames of one size in three ways: by memcpy (the memory's own pace), by a socketpair (a system call
a side and frame), and between two members of a network: a process with two threads, the switch in another. The ways take
turns; medians. 65226 bytes are a segmented TCP frame, which the socketpair carries as one packet.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "bench"
# Size, frames.
SHAPES = ((64, 300000), (1514, 200000), (65226, 20000))
WAYS = ("memcpy", "socketpair", "switch")


def environment(directory):
    return {**os.environ, "XDG_RUNTIME_DIR": directory, "XDG_DATA_HOME": directory}


def network(banyan, directory, *arguments):
    subprocess.run([banyan, "network", *arguments], env=environment(directory), check=True, timeout=60, stdout=subprocess.DEVNULL)


def measure(load, way, socket, size, count):
    """Frames a second."""
    by = socket if way == "switch" else way
    done = subprocess.run([load, by, str(size), str(count)], check=True, timeout=300, capture_output=True, text=True)
    return count / float(done.stdout)


def measure_all(load, socket, runs):
    rates = {}
    for _ in range(runs):
        for size, count in SHAPES:
            for way in WAYS:
                rates.setdefault((size, way), []).append(measure(load, way, socket, size, count))
    return {key: statistics.median(values) for key, values in rates.items()}


def print_table(rates):
    print(f"{'bytes':>6}" + "".join(f"{way + ' frames/s':>22}{'MiB/s':>9}" for way in WAYS))
    for size, _ in SHAPES:
        row = "".join(f"{rates[size, way]:22,.0f}{rates[size, way] * size / (1 << 20):9,.0f}" for way in WAYS)
        print(f"{size:6}{row}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banyan", type=Path, default=ROOT / "build/release/banyan")
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS", "3")))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = options.banyan.parent / "bench/net/switch_load"
    with tempfile.TemporaryDirectory(prefix="banyan-") as directory:
        network(options.banyan, directory, "create", NETWORK)
        try:
            socket = f"{directory}/banyan/network-{NETWORK}.port"
            rates = measure_all(load, socket, options.runs)
        finally:
            network(options.banyan, directory, "remove", NETWORK)
    print_table(rates)
    if options.json:
        rows = [{"bytes": size, "way": way, "frames_per_second": rate} for (size, way), rate in rates.items()]
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
