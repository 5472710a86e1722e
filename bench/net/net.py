#!/usr/bin/env python3
"""TCP through user-mode networking: Banyan (libslirp, and passt where it is installed) beside QEMU (TCG, -netdev user), the
same guest, alternately. With --pair: from one VM to another, over Banyan's switch, beside QEMU's socket netdev.

    net.py [--pair] [--runs N] [--seconds N] [--engine ENGINE] [--vmm PROGRAM]

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


def pair_commands(options, directory):
    """Two VMs a monitor, which begin together: (server, client)."""
    vmm = banyan_command(Machine(**options))[0]
    subprocess.run([vmm, "network", "create", "bench"], check=True)
    stream = f"addr.type=unix,addr.path={directory}/stream"
    card = ["-device", "virtio-net-pci,disable-legacy=on,netdev=pair,romfile=,mac=52:54:00:00:00:0"]
    pairs = {"banyan": [banyan_command(Machine(extra=("--name", f"bench-{side}", "--net", "switch=bench"), **options)) for side in (1, 2)]}
    theirs = []
    for side, end in ((1, "server=on"), (2, "server=off")):
        command = qemu_command(Machine(**options))
        at = command.index("-netdev")
        theirs.append(command[:at] + command[at + 4:] + ["-netdev", f"stream,id=pair,{end},{stream}", card[0], card[1] + str(side)])
    pairs["qemu"] = theirs
    return pairs


def measure_pair(commands, seconds):
    with Console(commands[0]) as server:
        server.expect(PROMPT, BOOT_SECONDS)
        with Console(commands[1]) as client:
            client.expect(PROMPT, BOOT_SECONDS)
            for number, console in enumerate((server, client), 1):
                console.run(f"ip link set lo up; ip link set eth0 up; ip addr add 10.9.9.{number}/24 dev eth0")
            client.run("ping -c 1 -w 20 10.9.9.1")
            server.run("iperf3 -s -D")
            output, status = client.run(f"iperf3 -c 10.9.9.1 -t {seconds} -J", 60 + seconds)
            if status != 0:
                sys.exit(f"net.py: iperf3 has failed in the guest: {output}")
            for console in (client, server):
                console.send("poweroff -f\n")
                console.wait(60)
    return {"VM to VM": json.loads(output[output.index("{"):])["end"]["sum_received"]["bits_per_second"] / 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--engine", default="soft")
    parser.add_argument("--vmm")
    parser.add_argument("--pair", action="store_true")
    args = parser.parse_args()
    os.environ["BANYAN_ENGINE"] = args.engine
    if args.vmm:
        os.environ["BANYAN_VMM"] = args.vmm
    with tempfile.TemporaryDirectory() as directory:
        options = {"initrd": str(pack(Path(directory))), "no_reboot": True,
                   "append": "console=ttyS0 quiet mitigations=off banyan.modules=virtio_pci,virtio_net"}
        if args.pair:
            os.environ["XDG_RUNTIME_DIR"] = os.environ["XDG_DATA_HOME"] = directory
            commands, action = pair_commands(options, directory), measure_pair
        else:
            commands, action = {"banyan": banyan_command(Machine(extra=("--net", "nat,host-loopback=on"), **options))}, measure
            if shutil.which("passt"):
                commands["banyan, passt"] = banyan_command(Machine(extra=("--net", "passt,host-loopback=on"), **options))
            commands["qemu"] = qemu_command(Machine(**options))
        results = {name: [] for name in commands}
        try:
            for run in range(args.runs):
                for name, command in commands.items():
                    results[name].append(action(command, args.seconds))
                    print(f"run {run + 1}, {name}: " + ", ".join(f"{way} {value:.0f} Mbit/s" for way, value in results[name][-1].items()),
                          flush=True)
        finally:
            if args.pair:
                subprocess.run([commands["banyan"][0][0], "network", "remove", "bench"], check=False)
    missed = False
    for way in results["qemu"][0]:
        medians = {name: statistics.median(one[way] for one in all_runs) for name, all_runs in results.items()}
        theirs = medians.pop("qemu")
        missed |= medians["banyan"] < BAR * theirs
        for name, ours in medians.items():
            print(f"{way}, {name}: {ours:.0f} Mbit/s, QEMU {theirs:.0f}: {ours / theirs:.2f} times (bar {BAR:g})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
