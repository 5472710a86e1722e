#!/usr/bin/env python3
"""Starting a guest under KVM, and what its monitor costs: Banyan beside QEMU's microvm and q35 machines.

    startup.py [--runs N] [--sides NAME,...]

The same kernel and initrd with 128 MiB, from the exec of the monitor to the guest's reboot out of its /init: seconds, exits
from the guest (the tracepoint kvm_exit), and how many of them were nested page faults. Alternately, in the nested rig
(tests/nested/rig.py), where one instruction is one nanosecond (-icount): a busy host changes nothing. QEMU is started with
the options that its documentation of microvm recommends for a quick start. Memory: what of the monitor is resident besides
the guest's RAM, while the guest waits for its init. Bars as ratios to microvm; the status is 1 when one is missed.
"""

import argparse
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/nested"))

import rig as rigs  # noqa: E402

COUNTED = ("-icount", "shift=0,sleep=off")
QEMU_DATA = ("/usr/share/qemu", "/usr/share/seabios")
QEMU_DISK = "160M"
MEMORY = "128M"
TRACING = "/sys/kernel/tracing"
NESTED_PAGE_FAULT = 0x400  # AMD APM vol. 2 appendix C: VMEXIT_NPF
LIMIT = 600
# A guest that ends as soon as its init runs; QEMU's microvm has no other reset than a triple fault.
REBOOT = "console=ttyS0 quiet mitigations=off panic=-1 rdinit=/bin/busybox{} -- reboot -f"
WAIT = "console=ttyS0 quiet mitigations=off rdinit=/bin/busybox -- sleep 1000"
MACHINES = {"microvm": "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on", "q35": "q35"}
# name, bar, value of (banyan, microvm)
BARS = (
    ("time to microvm's", 0.55, lambda ours, theirs: ours["seconds"] / theirs["seconds"]),
    ("other exits to microvm's", 0.14, lambda ours, theirs: ours["others"] / theirs["others"]),
    ("nested page faults to microvm's", 1, lambda ours, theirs: ours["faults"] / theirs["faults"]),
    ("memory besides the guest's, MiB", 5, lambda ours, _: ours["memory"]),
)


def make_qemu_disk(directory):
    """QEMU with what it needs, as a file system for the rig."""
    root = directory / "root"
    qemu = "/usr/bin/qemu-system-x86_64"
    for file in (qemu, *rigs.shared_libraries(qemu)):
        target = root / file[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    for folder in QEMU_DATA:
        shutil.copytree(folder, root / folder[1:], ignore=shutil.ignore_patterns("*.lid", "opensbi*", "*.dtb", "hppa*"))
    for empty in ("dev", "proc", "rig", "tmp"):
        (root / empty).mkdir()
    disk = directory / "qemu.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-d", str(root), str(disk), QEMU_DISK], check=True)
    return disk


def mount_qemu(shell):
    shell.shell("modprobe -a virtio_pci virtio_blk && mkdir -p /qemu && mount -o ro /dev/vda /qemu")
    shell.shell("for i in dev proc rig; do mount --bind /$i /qemu/$i; done; mount -t tmpfs tmpfs /qemu/tmp")
    # What is on the disk comes into memory now: while a guest waits for QEMU, its clock runs ahead.
    shell.shell("find /qemu/usr /qemu/lib* -xdev -type f | xargs cat >/dev/null", LIMIT)
    shell.shell(f"mount -t tracefs tracefs {TRACING}")


def banyan_command(shell, append):
    return shlex.join([shell.path("banyan"), "run", "--engine", "kvm", *shell.cpu_options, "--memory", MEMORY, "--no-reboot",
                       "--net", "none", "--console", "file:/tmp/console", "--kernel", shell.path("vmlinux"), "--initrd",
                       shell.path("initramfs"), "--append", append])


def qemu_command(shell, machine, append):
    return "chroot /qemu " + shlex.join(
        ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-M", MACHINES[machine], "-m", MEMORY, "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", "file:/tmp/console", "-no-reboot", "-kernel", shell.path("vmlinux"),
         "-initrd", shell.path("initramfs"), "-append", append])


def command(shell, side, append):
    return banyan_command(shell, append) if side == "banyan" else qemu_command(shell, side, append)


def reboot_of(side):
    return REBOOT.format(" reboot=t" if side == "microvm" else "")


def start_once(shell, side):
    """One start: {seconds, others, faults}."""
    trigger = f"{TRACING}/events/kvm/kvm_exit/trigger"
    shell.shell(f"echo 'hist:keys=exit_reason' >{trigger}")
    said = shell.shell(f"read a x </proc/uptime; {command(shell, side, reboot_of(side))} >/tmp/said 2>&1 </dev/null; s=$?; "
                       "read b x </proc/uptime; echo times $a $b status $s", LIMIT)
    counts = shell.shell(f"cat {TRACING}/events/kvm/kvm_exit/hist; echo '!hist:keys=exit_reason' >{trigger}")
    found = re.search(r"times (\S+) (\S+) status 0", said)
    exits = {int(kind): int(count) for kind, count in re.findall(r"exit_reason:\s+(\d+) \} hitcount:\s+(\d+)", counts)}
    if found is None or not exits:
        raise SystemExit(f"banyan: startup: {side} did not end well: {said}{shell.run('cat /tmp/said')[0]}")
    faults = exits.get(NESTED_PAGE_FAULT, 0)
    return {"seconds": float(found.group(2)) - float(found.group(1)), "faults": faults,
            "others": sum(exits.values()) - faults}


def memory_of(shell, side):
    """MiB that are resident besides the guest's RAM, which is the largest mapping."""
    run = command(shell, side, WAIT)
    said = shell.shell(f"({run}) >/tmp/said 2>&1 </dev/null & sleep 6; p=$(pidof banyan qemu-system-x86_64); "
                       "cat /proc/$p/smaps; kill $p; wait", LIMIT)
    sizes = list(zip(map(int, re.findall(r"^Size:\s+(\d+)", said, re.M)), map(int, re.findall(r"^Rss:\s+(\d+)", said, re.M))))
    return (sum(rss for _, rss in sizes) - max(sizes)[1]) / 1024


def report(results):
    print(f"{'':<10}{'seconds':>9}{'page faults':>13}{'other exits':>13}{'memory MiB':>12}")
    for side, row in results.items():
        print(f"{side:<10}{row['seconds']:>9.2f}{row['faults']:>13.0f}{row['others']:>13.0f}{row['memory']:>12.1f}")
    good = True
    for name, bar, value_of in BARS if {"banyan", "microvm"} <= results.keys() else ():
        value = value_of(results["banyan"], results["microvm"])
        good &= value <= bar
        print(f"{name:<34}{value:>7.2f}   {'pass' if value <= bar else 'FAIL'} (bar: at most {bar})")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS", "3")))
    parser.add_argument("--sides", default="banyan,microvm,q35")
    options = parser.parse_args()
    sides = options.sides.split(",")
    with tempfile.TemporaryDirectory() as directory:
        disk = make_qemu_disk(Path(directory))
        with rigs.Rig({}, (*COUNTED, "-drive", f"file={disk},format=raw,if=virtio,readonly=on")) as shell:
            mount_qemu(shell)
            for side in sides:
                start_once(shell, side)  # brings its files into memory
            runs = [{side: start_once(shell, side) for side in sides} for _ in range(options.runs)]
            results = {side: {key: statistics.median(run[side][key] for run in runs) for key in runs[0][side]}
                       for side in sides}
            for side in sides:
                results[side]["memory"] = memory_of(shell, side)
    return 0 if report(results) else 1


if __name__ == "__main__":
    sys.exit(main())
