#!/usr/bin/env python3
"""How exactly VMs are kept to their shares, reservations and limits, and how much memory idle guests give back.

    resources.py [--banyan PROGRAM] [--guests DIRECTORY] [--control throttle|cgroup] [--seconds N] [--only TEXT] [--json FILE]

The CPU's part runs guests that do nothing but to burn CPU time (two bytes of code, made here), all tied to one CPU of the
host, and reads the processor time of their vCPUs' threads from /proc: so it can be run on a host that has other things to
do. What is measured begins when the entitlements have settled. The memory's part runs the small Linux guest.
"""

import argparse
import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/boot"))
from qmp import Qmp  # noqa: E402

MIB = 1 << 20
SETTLE = 12  # seconds


def burner(path):
    """A multiboot kernel (Multiboot Specification 0.6.96, section 3.1) that jumps to itself."""
    magic, has_addresses, base = 0x1BADB002, 0x10000, 0x100000
    header = struct.pack("<8I", magic, has_addresses, -(magic + has_addresses) & 0xFFFFFFFF, base, base, 0, 0, base + 32)
    path.write_bytes(header + b"\xeb\xfe" + bytes(64))


class Host:
    """VMs with run and data directories of their own."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = Path(directory)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": directory, "XDG_DATA_HOME": directory}
        os.environ.update(self.environment)
        self.kernel = self.directory / "burner"
        burner(self.kernel)

    def banyan(self, *arguments):
        subprocess.run([self.options.banyan, *arguments], env=self.environment, check=True, timeout=60)

    @contextlib.contextmanager
    def vms(self, machines):
        """machines: name -> options of banyan run."""
        started = {}
        try:
            for name, arguments in machines.items():
                started[name] = Vm(self, name, arguments)
            for vm in started.values():
                vm.connect()
            yield started
        finally:
            for vm in started.values():
                vm.end()


class Vm:
    def __init__(self, host, name, arguments):
        self.name = name
        command = [host.options.banyan, "run", "--name", name, "--console", "none", "--cpu-control", host.options.control]
        with open(host.directory / f"{name}.log", "wb") as log:
            self.process = subprocess.Popen([*command, *arguments], env=host.environment, stdin=subprocess.DEVNULL, stderr=log)
        self.socket = host.directory / "banyan" / f"{self.process.pid}.qmp"

    def connect(self):
        deadline = time.monotonic() + 60
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start")
            time.sleep(0.1)
        self.qmp = Qmp(self.socket)

    def end(self):
        self.process.kill()
        self.process.wait()

    def cpu(self):
        """Seconds of processor time of its vCPUs' threads, and how long they waited for a CPU."""
        used = waited = 0
        for vcpu in self.qmp.ask("query-cpus-fast"):
            text = Path(f"/proc/{self.process.pid}/task/{vcpu['thread-id']}/schedstat").read_text().split()
            used += int(text[0]) / 1e9
            waited += int(text[1]) / 1e9
        return used, waited

    def resources(self):
        return self.qmp.ask("__org.banyan_query-resources")

    def resident(self):
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")


def measure(vms, seconds):
    """Per VM: CPU time in parts of one CPU, and waiting for a CPU."""
    before = {name: vm.cpu() for name, vm in vms.items()}
    start = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - start
    after = {name: vm.cpu() for name, vm in vms.items()}
    return {name: tuple((after[name][i] - before[name][i]) / elapsed for i in (0, 1)) for name in vms}


class Report:
    def __init__(self):
        self.rows = []

    def add(self, what, wanted, got, holds, more=""):
        self.rows.append({"what": what, "wanted": wanted, "got": got, "holds": holds, "more": more})
        print(f"{'holds' if holds else 'FAILS'}  {what}: {got} (wanted {wanted}){'; ' + more if more else ''}", flush=True)


def text_of(used):
    return ", ".join(f"{name} {100 * one:.1f}% (waited {100 * waited:.0f}%)" for name, (one, waited) in used.items())


def check_ratio(report, what, used, wanted):
    ratio = used["a"][0] / used["b"][0]
    report.add(what, f"{wanted}:1 within 5%", f"{ratio:.3f}:1", abs(ratio / wanted - 1) <= 0.05, text_of(used))


def check_limit(report, what, used, name, percent):
    got = 100 * used[name][0]
    report.add(what, f"{percent}% within 2 points", f"{got:.1f}%", abs(got - percent) <= 2, text_of(used))


def shares(host, report):
    kernel = ("--memory", "16M", "--kernel", str(host.kernel))
    with host.vms({"a": (*kernel, "--shares", "2000"), "b": (*kernel, "--shares", "1000")}) as vms:
        time.sleep(SETTLE)
        check_ratio(report, "shares 2:1", measure(vms, host.options.seconds), 2)
        host.banyan("set", "b", "--shares", "6000")
        time.sleep(SETTLE)
        check_ratio(report, "shares changed live to 1:3", measure(vms, host.options.seconds), 1 / 3)


def pools(host, report):
    kernel = ("--memory", "16M", "--kernel", str(host.kernel))
    host.banyan("pool", "create", "one", "--shares", "3000")
    host.banyan("pool", "create", "two", "--shares", "1000")
    with host.vms({"a": (*kernel, "--pool", "one"), "b": (*kernel, "--pool", "two"), "c": (*kernel, "--pool", "two")}) as vms:
        time.sleep(SETTLE)
        used = measure(vms, host.options.seconds)
        check_ratio(report, "pools 3:1, two VMs in the second", used, 6)


def limit(host, report):
    kernel = ("--memory", "16M", "--kernel", str(host.kernel))
    with host.vms({"a": (*kernel, "--limit", "25%")}) as vms:
        time.sleep(SETTLE)
        check_limit(report, "limit 25%", measure(vms, host.options.seconds), "a", 25)
        host.banyan("set", "a", "--limit", "10%")
        time.sleep(SETTLE)
        check_limit(report, "limit changed live to 10%", measure(vms, host.options.seconds), "a", 10)


def reservation(host, report):
    kernel = ("--memory", "16M", "--kernel", str(host.kernel))
    machines = {name: (*kernel, "--shares", "10000") for name in ("b", "c", "d")}
    with host.vms({"a": (*kernel, "--shares", "1", "--reservation", host.options.reservation), **machines}) as vms:
        time.sleep(SETTLE)
        used = measure(vms, host.options.seconds)
        wanted = float(host.options.reservation.rstrip("%"))
        got = 100 * used["a"][0]
        report.add("a reservation while three with 10000 times its shares burn", f"{wanted:.0f}% at least, within 2 points",
                   f"{got:.1f}%", got >= wanted - 2, text_of(used))


def memory(host, report):
    guests = Path(host.options.guests)
    linux = ("--memory", "256M", "--kernel", str(guests / "kernel/vmlinuz"), "--initrd", str(guests / "shell/initramfs"),
             "--append", "console=ttyS0 banyan.modules=virtio_pci,virtio_balloon")
    host.banyan("pool", "set", "root", "--memory-limit", "512M")
    machines = {f"m{i}": (*linux, "--memory-shares", "1000") for i in range(4)}
    with host.vms(machines) as vms:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            actual = {name: vm.resources().get("memory_actual", 256 * MIB) for name, vm in vms.items()}
            if sum(actual.values()) <= 512 * MIB:
                break
            time.sleep(1)
        time.sleep(SETTLE)
        facts = {name: vm.resources() for name, vm in vms.items()}
        total = sum(one.get("memory_actual", 256 * MIB) for one in facts.values())
        resident = sum(vm.resident() for vm in vms.values())
        targets = []
        for _ in range(10):
            time.sleep(1)
            targets.append(sum(vm.resources().get("memory_target", 256 * MIB) for vm in vms.values()) // MIB)
        report.add("four idle guests of 256 MiB in 512 MiB", "512 MiB", f"{total / MIB:.0f} MiB", total <= 512 * MIB,
                   f"resident {resident / MIB:.0f} MiB; targets over 10 s: {min(targets)} to {max(targets)} MiB; each "
                   + ", ".join(f"{one.get('memory_actual', 0) // MIB} (needs {one['memory_demand'] // MIB})" for one in facts.values()))
    host.banyan("pool", "set", "root", "--memory-limit", "none")


PARTS = (shares, pools, limit, reservation, memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banyan", default=str(ROOT / "build/release/banyan"))
    parser.add_argument("--guests", default=str(ROOT / "build/guests"))
    parser.add_argument("--control", default="throttle", choices=("throttle", "cgroup"))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--reservation", default="30%", help="less than the host can spare of one CPU while it is busy")
    parser.add_argument("--cpu", type=int, default=None, help="the CPU of the host that all VMs are tied to; default: the last")
    parser.add_argument("--only", default="", help="parts whose name has this in it: " + ", ".join(one.__name__ for one in PARTS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    all_cpus = os.sched_getaffinity(0)
    report = Report()
    for part in PARTS:
        if options.only not in part.__name__:
            continue
        os.sched_setaffinity(0, all_cpus if part is memory else {options.cpu if options.cpu is not None else max(all_cpus)})
        with tempfile.TemporaryDirectory() as directory:
            part(Host(options, directory), report)
    if options.json:
        options.json.write_text(json.dumps(report.rows, indent=2) + "\n")
    return 0 if report.rows and all(row["holds"] for row in report.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
