#!/usr/bin/env python3
"""Eight guests on one network: ping, TCP both ways, names; a ninth on another network reaches none of them. Then one floods
another and one is killed, while a connection to the flooded one goes on."""

import json
import signal
import subprocess
import unittest

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command, kernel_complaints, own_directory, report

MEMBERS = [f"m{number}" for number in range(1, 9)]
MEGABYTE = 1 << 20
UP = """mkdir -p /etc; printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] || exit 0' 'ip addr add $ip/$mask dev $interface' \
'ip route add default dev $interface' 'echo nameserver $dns >/etc/resolv.conf' 'echo search $domain >>/etc/resolv.conf' >/tmp/up; \
chmod +x /tmp/up; ip link set eth0 up && udhcpc -n -q -i eth0 -s /tmp/up"""


def banyan(*arguments):
    program = banyan_command(Machine())[0]
    return subprocess.run([program, "network", *arguments], check=True, timeout=60 * SLOW, capture_output=True, text=True).stdout


class ManyMembersTest(unittest.TestCase):
    def setUp(self):
        own_directory(self, "XDG_RUNTIME_DIR", "XDG_DATA_HOME")
        for network in ("lab", "other"):
            banyan("create", network)
            self.addCleanup(banyan, "remove", network)
        self.guests = {}
        for name in MEMBERS:
            self.start(name, "lab")
        self.start("stranger", "other")
        for guest in self.guests.values():
            guest.expect(PROMPT, BOOT_SECONDS)
        report(f"nine shells: {self.guests['stranger'].elapsed():.1f} s")

    def start(self, name, network):
        guest = Console(banyan_command(Machine(memory="128M", append="console=ttyS0 quiet banyan.modules=virtio_pci,virtio_net",
                                               no_reboot=True, extra=("--name", name, "--net", f"switch={network}"))))
        self.guests[name] = guest.__enter__()
        self.addCleanup(guest.__exit__, None, None, None)

    def run_well(self, name, command, seconds=60):
        output, status = self.guests[name].run(command, seconds)
        self.assertEqual(status, 0, f"{name}: {output}")
        return output

    def ports(self, network):
        return {port["name"]: port for port in json.loads(banyan("show", network, "--json"))["ports"]}

    def test_many_members(self):
        for name in self.guests:
            self.run_well(name, UP)
        self.addresses = {name: port["ipv4"] for name, port in self.ports("lab").items() if name in MEMBERS}
        self.assertEqual(sorted(self.addresses), MEMBERS)
        self.assertEqual(len(set(self.addresses.values())), len(MEMBERS))
        for check in (self.all_reach_each_other, self.tcp_goes_both_ways, self.the_stranger_reaches_nobody, self.harm_is_bounded):
            with self.subTest(check.__name__):
                check()
        for name in set(self.guests) - {"m8"}:
            self.guests[name].send("poweroff -f\n")
        for name in set(self.guests) - {"m8"}:
            self.assertEqual(self.guests[name].wait(60), 0, self.guests[name].stderr())
            self.assertEqual(kernel_complaints(self.guests[name].transcript), [])
        report(f"all: {self.guests['m1'].elapsed():.1f} s")

    def all_reach_each_other(self):
        for name in MEMBERS:
            others = [other for other in MEMBERS if other != name]
            self.run_well(name, " && ".join(f"ping -q -c 1 -W 20 {self.addresses[other]} >/dev/null" for other in others), 120)
            following = others[MEMBERS.index(name) % len(others)]
            self.run_well(name, f"nslookup {following}.lab | grep -q {self.addresses[following]}")

    def tcp_goes_both_ways(self):
        for server, client in (("m1", "m2"), ("m2", "m1")):
            self.run_well(server, "mkdir -p /www && dd if=/dev/urandom of=/www/page bs=64k count=8 2>/dev/null && httpd -p 80 -h /www")
            digest = self.run_well(server, "sha256sum /www/page").split()[0]
            self.assertIn(digest, self.run_well(client, f"wget -q -O - http://{self.addresses[server]}/page | sha256sum"))

    def the_stranger_reaches_nobody(self):
        address = self.addresses["m1"]
        _, status = self.guests["stranger"].run(f"ping -q -c 2 -w 2 {address}")
        self.assertNotEqual(status, 0)
        _, status = self.guests["stranger"].run("nslookup m1.lab | grep -q 'Name:'")
        self.assertNotEqual(status, 0)
        self.run_well("m1", f"ping -q -c 1 -W 20 {self.addresses['m8']} >/dev/null")

    def harm_is_bounded(self):
        """m3 is connected to m4 before m7 sends m4 as much as it can, and m8 dies; then m3 sends a megabyte."""
        # Not with the terminal as its input: what is typed there next would stop it (SIGTTIN).
        self.run_well("m4", "sleep 1000 | nc -l -p 9 >/tmp/got & sleep 1")
        self.run_well("m3", f"(echo begin; while [ ! -e /tmp/go ]; do sleep 1; done; dd if=/dev/zero bs=64k count={MEGABYTE >> 16} "
                            f"2>/dev/null) | nc {self.addresses['m4']} 9 & true")
        self.run_well("m4", "for i in $(seq 200); do grep -q begin /tmp/got && break; usleep 100000; done; grep begin /tmp/got")
        self.run_well("m7", f"ping -q -A -s 20000 {self.addresses['m4']} >/dev/null 2>&1 & true")
        self.guests["m8"].signal(signal.SIGKILL)
        self.assertEqual(self.guests["m8"].wait(60), -signal.SIGKILL)
        self.run_well("m3", "touch /tmp/go")
        got = self.run_well("m4", f"for i in $(seq 120); do [ $(wc -c </tmp/got) = {MEGABYTE + 6} ] && break; sleep 1; done; "
                                  "wc -c </tmp/got", 150)
        self.assertEqual(int(got), MEGABYTE + 6, self.ports("lab"))
        self.assertNotIn("m8", self.ports("lab"), "the switch has forgotten who died")
        self.run_well("m5", f"ping -q -c 1 -W 20 {self.addresses['m6']} >/dev/null")
        report("drops of the flooder: " + str({why: count for why, count in self.ports("lab")["m7"]["drops"].items() if count}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
