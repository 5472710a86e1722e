#!/usr/bin/env python3
"""A guest of QEMU joins a network of Banyan's at its stream socket: an address, a name, ping and TCP both ways."""

import json
import subprocess
import unittest

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command, kernel_complaints, own_directory, qemu_command, report

APPEND = "console=ttyS0 quiet banyan.modules=virtio_pci,virtio_net"
UP = """mkdir -p /etc; printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] || exit 0' 'ip addr add $ip/$mask dev $interface' \
'echo nameserver $dns >/etc/resolv.conf' 'echo address $ip' >/tmp/up; chmod +x /tmp/up; \
ip link set eth0 up && udhcpc -n -q -i eth0 -x hostname:guest-of-qemu -s /tmp/up"""


def banyan(*arguments):
    program = banyan_command(Machine())[0]
    return subprocess.run([program, "network", *arguments], check=True, timeout=60 * SLOW, capture_output=True, text=True).stdout


def without_user_network(command):
    """The command without its `-netdev user` and the card on it."""
    at = command.index("-netdev")
    return command[:at] + command[at + 4:]


class QemuTest(unittest.TestCase):
    def setUp(self):
        own_directory(self, "XDG_RUNTIME_DIR", "XDG_DATA_HOME")
        banyan("create", "lab")
        self.addCleanup(banyan, "remove", "lab")
        self.socket = json.loads(banyan("show", "lab", "--json"))["stream_socket"]

    def run_well(self, guest, command, seconds=60):
        output, status = guest.run(command, seconds)
        self.assertEqual(status, 0, output)
        return output

    def test_qemu(self):
        ours = banyan_command(Machine(memory="128M", append=APPEND, no_reboot=True, extra=("--name", "own", "--net", "switch=lab")))
        theirs = without_user_network(qemu_command(Machine(memory="128M", append=APPEND, no_reboot=True)))
        theirs += ["-netdev", f"stream,id=net0,server=off,addr.type=unix,addr.path={self.socket}",
                   "-device", "virtio-net-pci,disable-legacy=on,netdev=net0,romfile=,mac=52:54:00:00:00:77"]
        with Console(ours) as own, Console(theirs) as guest:
            for one in (own, guest):
                one.expect(PROMPT, BOOT_SECONDS)
            addresses = [self.run_well(one, UP).split("address ")[1].split()[0] for one in (own, guest)]
            self.run_well(own, f"ping -q -c 1 -W 20 {addresses[1]}")
            self.run_well(guest, f"ping -q -c 1 -W 20 {addresses[0]}")
            self.run_well(guest, f"nslookup own.lab | grep -q {addresses[0]}")
            self.run_well(own, f"nslookup guest-of-qemu.lab | grep -q {addresses[1]}")
            for server, address, client in ((own, addresses[0], guest), (guest, addresses[1], own)):
                self.run_well(server, "mkdir -p /www && dd if=/dev/urandom of=/www/page bs=64k count=16 2>/dev/null && httpd -p 80 -h /www")
                digest = self.run_well(server, "sha256sum /www/page").split()[0]
                self.assertIn(digest, self.run_well(client, f"wget -q -O - http://{address}/page | sha256sum"))
            for one in (own, guest):
                one.send("poweroff -f\n")
                self.assertEqual(one.wait(60), 0, one.stderr())
            self.assertEqual(kernel_complaints(own.transcript), [])
            report(f"all: {own.elapsed():.1f} s")


if __name__ == "__main__":
    unittest.main(verbosity=2)
