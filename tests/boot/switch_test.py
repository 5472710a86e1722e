#!/usr/bin/env python3
"""Two guests on a named network: addresses, each other's names, TCP; and the network's switch killed and started again."""

import hashlib
import json
import os
import signal
import subprocess
import time
import unittest

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command, kernel_complaints, own_directory, report

NETWORK = "lab"
UP = """printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] || exit 0' 'ip addr add $ip/$mask dev $interface' \
'echo nameserver $dns >/etc/resolv.conf' 'echo search $domain >>/etc/resolv.conf' 'echo $ip' >/tmp/up; chmod +x /tmp/up"""


def banyan(*arguments):
    program = banyan_command(Machine())[0]
    return subprocess.run([program, "network", *arguments], check=True, timeout=60 * SLOW, capture_output=True, text=True).stdout


def state():
    return json.loads(banyan("show", NETWORK, "--json"))


class SwitchTest(unittest.TestCase):
    def setUp(self):
        own_directory(self, "XDG_RUNTIME_DIR", "XDG_DATA_HOME")
        banyan("create", NETWORK)
        self.addCleanup(banyan, "remove", NETWORK)

    def guest(self, name):
        return Console(banyan_command(Machine(append="console=ttyS0 quiet banyan.modules=virtio_pci,virtio_net", no_reboot=True,
                                              extra=("--name", name, "--net", f"switch={NETWORK}"))))

    def test_switch(self):
        with self.guest("web") as self.web, self.guest("db") as self.db:
            for guest in (self.web, self.db):
                guest.expect(PROMPT, BOOT_SECONDS)
            for check in (self.get_addresses, self.find_each_other, self.carry_tcp, self.come_back):
                with self.subTest(check.__name__):
                    check()
            for guest in (self.web, self.db):
                guest.send("poweroff -f\n")
                self.assertEqual(guest.wait(60), 0, guest.stderr())
                self.assertEqual(kernel_complaints(guest.transcript), [])
            report(f"all: {self.web.elapsed():.1f} s")

    def run_well(self, guest, command, seconds=60):
        output, status = guest.run(command, seconds)
        self.assertEqual(status, 0, output)
        return output

    def get_addresses(self):
        for guest in (self.web, self.db):
            self.run_well(guest, "mkdir -p /etc; " + UP)
            self.run_well(guest, "ip link set eth0 up && udhcpc -n -q -i eth0 -s /tmp/up")
        ports = {port["name"]: port for port in state()["ports"]}
        self.assertEqual(sorted(ports), ["db", "services", "web"])
        self.addresses = {name: ports[name]["ipv4"] for name in ("web", "db")}
        self.assertNotIn(None, self.addresses.values())

    def find_each_other(self):
        self.run_well(self.db, f"ping -c 2 -W 5 {self.addresses['web']}")
        self.run_well(self.db, f"nslookup web.{NETWORK} | grep {self.addresses['web']}")
        self.run_well(self.web, f"nslookup db.{NETWORK} | grep {self.addresses['db']}")

    def carry_tcp(self):
        self.run_well(self.web, "mkdir -p /www && dd if=/dev/urandom of=/www/page bs=1M count=4 && httpd -p 80 -h /www")
        digest = self.run_well(self.web, "sha256sum /www/page").split()[0]
        self.assertEqual(len(digest), 2 * hashlib.sha256().digest_size)
        fetched = self.run_well(self.db, f"wget -q -O - http://{self.addresses['web']}/page | sha256sum")
        self.assertIn(digest, fetched)

    def come_back(self):
        os.kill(state()["pid"], signal.SIGKILL)
        self.run_well(self.db, "for i in $(seq 100); do [ $(cat /sys/class/net/eth0/carrier) = 0 ] && break; usleep 100000; done; "
                               "[ $(cat /sys/class/net/eth0/carrier) = 0 ]")
        banyan("start", NETWORK)
        deadline = time.monotonic() + 30 * SLOW
        while len(state()["ports"]) < 3:
            self.assertLess(time.monotonic(), deadline, "members do not come back")
            time.sleep(0.2)
        self.run_well(self.db, f"ping -c 2 -W 5 {self.addresses['web']}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
