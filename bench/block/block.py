#!/usr/bin/env python3
"""What a request to a disk costs the host, in Banyan's block layer and in QEMU's, on the same image.

    block.py [--runs N] [--cache writeback,none] [--only TEXT] [--json FILE]

block_load.cpp asks Banyan's block layer for what `qemu-img bench` asks QEMU's for: requests of one size, one step behind
each other, so many under way at once. QEMU does it by each of its ways (threads, io_uring and, past the page cache, Linux
AIO), and counts by its best. Sides take turns; medians. A random place is a step of an odd number of requests, which
comes by all of them before it is at the first again.

Bar: at least as many requests for a second of the host's processor time, user and system, threads of the kernel that work
for the process included.
"""

import argparse
import dataclasses
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
K, M = 1 << 10, 1 << 20
IMAGE = 512 * M
BAR = 1.0
FORMATS = ("raw", "qcow2")
# Size, whether at random, depth, requests.
SHAPES = (
    (4 * K, False, 1, 40000),
    (4 * K, False, 32, 60000),
    (4 * K, True, 1, 40000),
    (4 * K, True, 32, 60000),
    (64 * K, False, 1, 8000),
    (64 * K, True, 1, 8000),
    (64 * K, True, 32, 8000),
    (M, False, 1, 800),
    (M, False, 32, 800),
)


@dataclasses.dataclass(frozen=True)
class Case:
    cache: str
    format: str
    write: bool
    size: int
    random: bool
    depth: int
    count: int

    @property
    def step(self):
        """0.38 of the image, and odd in requests."""
        return ((IMAGE // self.size * 38 // 100) | 1) * self.size if self.random else self.size

    @property
    def name(self):
        return (f"{self.cache} {self.format} {'write' if self.write else 'read'} {self.size // K}K "
                f"{'random' if self.random else 'sequential'} depth {self.depth}")


def cases(caches):
    for cache in caches:
        for image_format in FORMATS:
            for write in (False, True):
                for size, random, depth, count in SHAPES:
                    # The disk itself is slow, and costs no processor time.
                    yield Case(cache, image_format, write, size, random, depth, count // (8 if cache == "none" else 1))


def measure(command, seconds_pattern):
    """Seconds by the clock, and of processor time."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        raise SystemExit(f"banyan: block: {command[0]} ended with {process.returncode}: {text}; run it by hand to see more")
    return float(re.search(seconds_pattern, text).group(1)), usage.ru_utime + usage.ru_stime


def banyan(case, image, load):
    return measure([load, image, case.format, "write" if case.write else "read", case.depth, case.size, case.step,
                    case.count, case.cache, "automatic"], r"([\d.]+)")


def qemu(case, image, way):
    command = ["qemu-img", "bench", "-f", case.format, "-t", case.cache, "-i", way, "-d", case.depth, "-s", case.size,
               "-S", case.step, "-c", case.count]
    return measure(command + ["-w"] * case.write + [image], r"([\d.]+) seconds")


def make_images(directory):
    images = {image_format: directory / f"disk.{image_format}" for image_format in FORMATS}
    with images["raw"].open("wb") as file:
        for _ in range(IMAGE // M):
            file.write(os.urandom(M))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", images["raw"], images["qcow2"]], check=True)
    return images


def settle(image):
    """What the turn before has written is not a matter of the next one."""
    with image.open("rb") as file:
        os.fsync(file.fileno())


def compare(case, image, load, runs):
    sides = {"banyan": lambda: banyan(case, image, load)}
    for way in ("threads", "io_uring") + (("native",) if case.cache == "none" else ()):
        sides[way] = lambda way=way: qemu(case, image, way)
    found = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            settle(image)
            found[name].append(side())
    result = {name: {"per_cpu_second": case.count / max(statistics.median(cpu for _, cpu in times), 1e-4),
                     "per_second": case.count / statistics.median(clock for clock, _ in times)}
              for name, times in found.items()}
    best = max((name for name in result if name != "banyan"), key=lambda name: result[name]["per_cpu_second"])
    return result, best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", default=ROOT / "build/release/bench/block/block_load", type=Path)
    parser.add_argument("--directory", default=ROOT / "build", type=Path, help="on the disk to measure with")
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS", "3")))
    parser.add_argument("--cache", default="writeback,none")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    print(f"{'case':<48}{'banyan':>9}{'QEMU':>9}  {'its way':<9}{'ratio':>6}   {'by the clock':>14}   (thousands a second)")
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="block-bench-") as directory:
        images = make_images(Path(directory))
        for case in cases(options.cache.split(",")):
            if options.only not in case.name:
                continue
            result, best = compare(case, images[case.format], options.load, options.runs)
            ratio = result["banyan"]["per_cpu_second"] / result[best]["per_cpu_second"]
            results.append({"case": case.name, "ratio": ratio, "sides": result})
            print(f"{case.name:<48}{result['banyan']['per_cpu_second'] / 1e3:>9.1f}{result[best]['per_cpu_second'] / 1e3:>9.1f}"
                  f"  {best:<9}{ratio:>6.2f}   {result['banyan']['per_second'] / 1e3:>6.1f} {result[best]['per_second'] / 1e3:>7.1f}"
                  f"   {'pass' if ratio >= BAR else 'FAIL'}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    failed = sum(result["ratio"] < BAR for result in results)
    if results:
        print(f"geometric mean of the ratios {statistics.geometric_mean(result['ratio'] for result in results):.2f}; "
              f"{len(results) - failed} of {len(results)} pass (bar: {BAR})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
