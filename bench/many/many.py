#!/usr/bin/env python3
"""What many idle VMs cost: memory beside their guests' own and processor time, beside QEMU's TCG for the same guests.

    many.py --banyan PROGRAM --guests DIRECTORY [--vms 50] [--idle SECONDS] [--sides banyan,qemu] [--engine soft]

Each side starts so many small guests (128 MB, the shell guest, no network), one after the other, waits until all show their
prompt, lets them sit, and looks at each process: what is resident besides the guest's RAM (as private and proportional
parts, so that what processes share is counted once), and its processor time in a while. Banyan's are kept VMs (docs/store.md):
created, started, listed, ended and removed by the commands, which are timed. There are no bars: the figures are the result.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from peers import PROMPT, Failure, Qemu, end_by_signal, say  # noqa: E402

MEMORY_MIB = 128
BOOT_LIMIT = 120  # seconds for each VM: all begin at once
SETTLE = 5
APPEND = "console=ttyS0 quiet"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_beside_guest(pid):
    """KiB, proportional: of all mappings but the guest's RAM, and of that."""
    text = Path(f"/proc/{pid}/smaps").read_text(errors="replace")
    sizes = [int(size) for size in re.findall(r"^Size:\s+(\d+)", text, re.M)]
    parts = [int(part) for part in re.findall(r"^Pss:\s+(\d+)", text, re.M)]
    wanted = MEMORY_MIB << 10
    # Caches of translations may be as large, and hold less.
    ram = max((index for index, size in enumerate(sizes) if size >= wanted), key=lambda index: parts[index], default=None)
    if ram is None:
        raise Failure(f"process {pid} has no mapping that is its guest's RAM")
    return sum(parts) - parts[ram], parts[ram]


class BanyanSide:
    name = "banyan"

    def __init__(self, options, place):
        self.program, self.guests, self.engine = options.banyan, options.guests, options.engine
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(place / "run"), "XDG_DATA_HOME": str(place / "data")}
        for name in ("run", "data"):
            (place / name).mkdir(mode=0o700)
        self.names = [f"many-{number}" for number in range(options.vms)]
        self.took = {}

    def command(self, *arguments):
        begun = time.monotonic()
        done = subprocess.run([self.program, *map(str, arguments)], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=BOOT_LIMIT * len(self.names))
        self.took.setdefault(arguments[0], []).append(time.monotonic() - begun)
        if done.returncode != 0:
            raise Failure(f"banyan {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def start(self):
        for name in self.names:
            self.command("create", name, "--engine", self.engine, "--memory", f"{MEMORY_MIB}M", "--net", "none",
                         "--kernel", self.guests / "kernel/vmlinuz", "--initrd", self.guests / "shell/initramfs",
                         "--append", APPEND)
        for name in self.names:
            self.command("start", name)
        return [vm["pid"] for vm in json.loads(self.command("list", "--json"))]

    def has_prompt(self, index):
        return PROMPT.decode() in self.command("logs", self.names[index])

    def end(self):
        for name in self.names:
            with contextlib.suppress(Failure):  # it was not created
                self.command("remove", "-f", name)
        for command in ("create", "start", "list", "remove"):
            times = self.took.get(command, ())
            if times:
                print(f"  banyan {command:<8} {1000 * statistics.median(times):8.0f} ms, the longest {1000 * max(times):.0f} ms")


class QemuSide:
    name = "qemu"

    def __init__(self, options, place):
        self.guests, self.place, self.count = options.guests, place, options.vms
        self.processes = []

    def start(self):
        for number in range(self.count):
            command = Qemu().boot(str(self.guests / "kernel/vmlinuz"), str(self.guests / "shell/initramfs"), APPEND)
            command[command.index("-m") + 1] = f"{MEMORY_MIB}M"
            command[command.index("-serial") + 1] = f"file:{self.place}/console-{number}"
            self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                                   stderr=subprocess.DEVNULL))
        return [process.pid for process in self.processes]

    def has_prompt(self, index):
        if self.processes[index].poll() is not None:
            raise Failure(f"qemu ended with {self.processes[index].returncode}")
        console = self.place / f"console-{index}"
        return console.exists() and PROMPT in console.read_bytes()

    def end(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


SIDES = {side.name: side for side in (BanyanSide, QemuSide)}


def measure(side, options):
    begun = time.monotonic()
    pids = side.start()
    started = time.monotonic() - begun
    if len(pids) != options.vms:
        raise Failure(f"{side.name}: {len(pids)} of {options.vms} VMs run")
    waiting = set(range(options.vms))
    while waiting:
        if time.monotonic() - begun > BOOT_LIMIT * options.vms:
            raise Failure(f"{side.name}: {len(waiting)} guests did not come to their prompt")
        waiting = {index for index in waiting if not side.has_prompt(index)}
        time.sleep(1)
    booted = time.monotonic() - begun
    time.sleep(SETTLE)
    before = [cpu_of(pid) for pid in pids]
    time.sleep(options.idle)
    used = [(cpu_of(pid) - at) / options.idle * 100 for pid, at in zip(pids, before)]
    beside, own = zip(*map(memory_beside_guest, pids))
    return {"started": started, "booted": booted, "cpu": statistics.mean(used),
            "beside": statistics.mean(beside) / 1024, "own": statistics.mean(own) / 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banyan", required=True, type=lambda text: str(Path(text).resolve()))
    parser.add_argument("--guests", required=True, type=lambda text: Path(text).resolve())
    parser.add_argument("--vms", type=int, default=50)
    parser.add_argument("--idle", type=float, default=30)
    parser.add_argument("--engine", default="soft")
    parser.add_argument("--sides", default="banyan,qemu")
    options = parser.parse_args()
    end_by_signal()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    results = {}
    for name in options.sides.split(","):
        say(f"{options.vms} VMs of {name} ...")
        with tempfile.TemporaryDirectory(prefix="banyan-many-") as directory:
            side = SIDES[name](options, Path(directory))
            try:
                results[name] = measure(side, options)
            finally:
                side.end()
    print(f"{options.vms} idle VMs of {MEMORY_MIB} MiB; means of one VM but for the times")
    print(f"{'':<8}{'MiB beside guest':>18}{'guest MiB':>11}{'CPU %':>8}{'started s':>11}{'all up s':>10}")
    for name, row in results.items():
        print(f"{name:<8}{row['beside']:>18.1f}{row['own']:>11.1f}{row['cpu']:>8.2f}{row['started']:>11.1f}{row['booted']:>10.1f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"banyan: many: {failure}")
