#!/usr/bin/env python3
"""TCP through user-mode networking: Banyan beside QEMU (TCG, -netdev user), the same guest, alternately.

    net.py [--runs N] [--seconds N] [--engine ENGINE] [--vmm PROGRAM]

The small guest with iperf3 in it, one CPU, to and from a server on this host's loopback: Mbit/s, the median of the runs.
Bar: twice QEMU's throughput, both ways; the status is 1 when it is missed.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/boot"))

from harness import BOOT_SECONDS, PROMPT, Console, Machine, banyan_command, guest_file, qemu_command  # noqa: E402

BAR = 2.0
UP = ("ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2")


def pack(directory):
    """The small guest's initramfs, with iperf3 and what it is linked with."""
    tree = directory / "tree"
    program = shutil.which("iperf3")
    if program is None:
        sys.exit("net.py: there is no iperf3; install the package iperf3")
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    files = [program] + [word for word in listed.split() if word.startswith("/")]
    for file in files:
        target = tree / file[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    names = subprocess.run(["find", "."], cwd=tree, check=True, capture_output=True).stdout
    archive = subprocess.run(["cpio", "-o", "--quiet", "-H", "newc"], cwd=tree, input=names, check=True, capture_output=True).stdout
    initramfs = directory / "initramfs"
    initramfs.write_bytes(Path(guest_file("shell/initramfs")).read_bytes() + archive)
    return initramfs


def throughput(console, seconds, reverse):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(["iperf3", "-s", "-1", "--forceflush", "-B", "127.0.0.1", "-p", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()  # it listens
        output, status = console.run(f"iperf3 -c 10.0.2.2 -p {port} -t {seconds} -J {'-R' if reverse else ''}", 60 + seconds)
    finally:
        server.kill()
        server.wait()
    if status != 0:
        sys.exit(f"net.py: iperf3 has failed in the guest: {output}")
    return json.loads(output[output.index("{"):])["end"]["sum_received"]["bits_per_second"] / 1e6


def measure(command, seconds):
    with Console(command) as console:
        console.expect(PROMPT, BOOT_SECONDS)
        console.run(UP)
        console.run("ping -c 1 10.0.2.2")
        result = {"to the host": throughput(console, seconds, False), "from the host": throughput(console, seconds, True)}
        console.send("poweroff -f\n")
        console.wait(60)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--engine", default="soft")
    parser.add_argument("--vmm")
    args = parser.parse_args()
    os.environ["BANYAN_ENGINE"] = args.engine
    if args.vmm:
        os.environ["BANYAN_VMM"] = args.vmm
    with tempfile.TemporaryDirectory() as directory:
        options = {"initrd": str(pack(Path(directory))), "no_reboot": True,
                   "append": "console=ttyS0 quiet mitigations=off banyan.modules=virtio_pci,virtio_net"}
        commands = {"banyan": banyan_command(Machine(extra=("--net", "nat,host-loopback=on"), **options)),
                    "qemu": qemu_command(Machine(**options))}
        results = {name: [] for name in commands}
        for run in range(args.runs):
            for name, command in commands.items():
                results[name].append(measure(command, args.seconds))
                print(f"run {run + 1}, {name}: " + ", ".join(f"{way} {value:.0f} Mbit/s" for way, value in results[name][-1].items()),
                      flush=True)
    missed = False
    for way in results["qemu"][0]:
        ours, theirs = (statistics.median(one[way] for one in results[name]) for name in ("banyan", "qemu"))
        missed |= ours < BAR * theirs
        print(f"{way}: {ours:.0f} Mbit/s, QEMU {theirs:.0f}: {ours / theirs:.2f} times (bar {BAR:g})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
