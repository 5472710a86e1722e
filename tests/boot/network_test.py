#!/usr/bin/env python3
"""A guest is on-line at once: DHCP, the router, a server of the host's, published ports; and what it must not reach.

The first card may reach the host's loopback, the second may not. All traffic stays on this host.
"""

import base64
import hashlib
import http.server
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command, kernel_complaints, own_directory, report

PAGE = hashlib.shake_128(b"banyan").digest(3_000_000)
UP = """printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] || exit 0' 'ip addr add $ip/$mask dev $interface' \
'ip route add default via $router' 'echo $ip $router $dns $mask' >/tmp/up; chmod +x /tmp/up"""


class Server(http.server.BaseHTTPRequestHandler):
    posted = []

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Server.posted.append(hashlib.sha256(body).hexdigest())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(action, seconds=30):
    """Repeats the action until it gives something; for what a guest does in the background."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        try:
            if result := action():
                return result
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"{action} gave nothing in time")
        time.sleep(0.2)


def captured_frames(path):
    """The frames of a pcap file of nanoseconds."""
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHIIII", data)
    assert (magic, link) == (0xA1B23C4D, 1), hex(magic)
    at, frames = 24, []
    while at < len(data):
        _, nanoseconds, captured, original = struct.unpack_from("<IIII", data, at)
        assert nanoseconds < 10**9 and captured == original
        frames.append(data[at + 16:at + 16 + captured])
        at += 16 + captured
    return frames


class NetworkTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.capture = Path(directory.name) / "frames.pcap"
        self.runs = own_directory(self, "XDG_RUNTIME_DIR")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://10.0.2.2:{server.server_port}/page"
        self.web, self.echo = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)

    def machine(self):
        return Machine(append="console=ttyS0 quiet banyan.modules=virtio_pci,virtio_net", no_reboot=True, extra=(
            "--name", "sapling", "--net", f"nat,host-loopback=on,capture={self.capture}", "--net", "nat",
            "--publish", f"{self.web}:80", "--publish", f"{self.echo}:7/udp"))

    def test_network(self):
        with Console(banyan_command(self.machine())) as self.guest:
            self.guest.expect(PROMPT, BOOT_SECONDS)
            report(f"a shell: {self.guest.elapsed():.1f} s")
            for check in (self.gets_an_address, self.reaches_the_router, self.fetches_and_posts, self.serves_a_page,
                          self.publishes_while_it_runs, self.is_captured_while_it_runs, self.is_limited, self.takes_datagrams, self.starts_again, self.is_kept_from_the_host):
                with self.subTest(check.__name__):
                    check()
            self.guest.send("poweroff -f\n")
            self.assertEqual(self.guest.wait(60), 0, self.guest.stderr())
            report(f"all: {self.guest.elapsed():.1f} s")
            self.assertEqual(kernel_complaints(self.guest.transcript), [])
            self.assertNotIn("warning", self.guest.stderr())
        self.was_captured()

    def run_well(self, command, seconds=60):
        output, status = self.guest.run(command, seconds)
        self.assertEqual(status, 0, output)
        return output

    def gets_an_address(self):
        self.run_well(UP)
        output = self.run_well("ip link set eth0 up && udhcpc -n -q -i eth0 -s /tmp/up")
        self.assertIn("10.0.2.15 10.0.2.2 10.0.2.3 24", output)
        self.assertEqual(self.run_well("cat /sys/class/net/eth0/mtu").strip(), "65520")
        first = self.run_well("cat /sys/class/net/eth0/address").strip()
        self.assertEqual(int(first[:2], 16) & 3, 2, "an address of one station, administered locally")
        self.assertNotEqual(self.run_well("cat /sys/class/net/eth1/address").strip(), first)

    def reaches_the_router(self):
        self.run_well("ping -c 2 -W 5 10.0.2.2")
        self.run_well("ping -c 1 -W 5 -s 20000 10.0.2.2")
        # Its own address comes with the router's advertisement.
        self.run_well("for i in $(seq 50); do ip -6 addr show dev eth0 scope global | grep -q fdba && break; usleep 200000; done; "
                      "ping6 -c 2 -W 5 fdba:6e79:616e::2")

    def fetches_and_posts(self):
        self.assertIn(hashlib.sha256(PAGE).hexdigest(), self.run_well(f"wget -q -O /tmp/page {self.url} && sha256sum /tmp/page"))
        # As text: busybox's wget posts no zeroes.
        self.run_well(f"base64 /tmp/page >/tmp/text && wget -q -O /dev/null --post-file=/tmp/text {self.url}")
        self.assertEqual(Server.posted, [hashlib.sha256(base64.encodebytes(PAGE)).hexdigest()])

    def serves_a_page(self):
        self.run_well("mkdir -p /www && cp /tmp/page /www/ && httpd -p 80 -h /www")

        def fetch():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/page", timeout=30 * SLOW) as answer:
                return answer.read()

        self.assertEqual(eventually(fetch), PAGE)

    def banyan(self, *arguments, status=0):
        done = subprocess.run([self.guest.command[0], *arguments], timeout=60 * SLOW, capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def publishes_while_it_runs(self):
        """A second port to the page, which comes and goes."""
        port = free_port(socket.SOCK_STREAM)
        fetch = lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/page", timeout=30 * SLOW).read()
        self.banyan("publish", "sapling", f"{port}:80")
        self.assertEqual(eventually(fetch), PAGE)
        self.assertIn(f"127.0.0.1:{port}:80\n", self.banyan("show", "sapling"))
        self.assertIn("publish 127.0.0.1", self.banyan("publish", "sapling", f"{port}:80", status=1))
        self.assertIn("HOSTPORT:GUESTPORT", self.banyan("publish", "sapling", "80", status=2))
        self.banyan("unpublish", "sapling", f"{port}:80")

        def is_closed():
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) != 0

        self.assertTrue(eventually(is_closed))
        self.assertIn("is not published", self.banyan("unpublish", "sapling", f"{port}:80", status=1))

    def is_captured_while_it_runs(self):
        file = self.capture.with_name("live.pcap")
        with subprocess.Popen([self.guest.command[0], "network", "capture", "sapling", "-o", str(file)], stderr=subprocess.PIPE,
                              text=True) as capture:
            try:
                self.assertIn("Ctrl-C ends", capture.stderr.readline())
                self.run_well("ping -c 1 -W 5 -p 5a -s 100 10.0.2.2")
                eventually(lambda: any(b"Z" * 50 in frame for frame in captured_frames(file)))
            finally:
                capture.send_signal(signal.SIGINT)
            self.assertEqual(capture.wait(30 * SLOW), 0)
            self.assertIn("frames are captured", capture.stderr.read())
        self.assertFalse(list(self.runs.rglob("*.capture")), "its socket is gone")

    def is_limited(self):
        """3 MB at 1 MB/s: a limit below what any host does without one."""
        self.banyan("network", "rate", "sapling", "1000000")
        begin = time.monotonic()
        self.run_well(f"wget -q -O /dev/null {self.url}", 120)
        self.assertGreater(time.monotonic() - begin, 2.5)
        self.banyan("network", "rate", "sapling", "off")
        self.assertIn("not from 1000", self.banyan("network", "rate", "sapling", "1", status=2))

    def takes_datagrams(self):
        """The small guest has no program that listens to UDP: its kernel counts what is for nobody."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:

            def has_come():
                client.sendto(b"leaves", ("127.0.0.1", self.echo))
                counted = re.search(r"Udp: \d+ (\d+)", self.run_well("cat /proc/net/snmp"))
                return int(counted.group(1)) > 0

            self.assertTrue(eventually(has_come))

    def starts_again(self):
        """The driver goes and comes: a reset of the card, with the same network behind it."""
        self.run_well("rmmod virtio_net && modprobe virtio_net && ip link set eth0 up && "
                      "udhcpc -n -q -i eth0 -s /tmp/up && ping -c 1 -W 5 10.0.2.2")

    def is_kept_from_the_host(self):
        self.run_well("ip addr flush dev eth0; ip link set eth0 down; ip link set eth1 up && udhcpc -n -q -i eth1 -s /tmp/up")
        self.run_well("ping -c 1 -W 5 10.0.2.2")
        output, status = self.guest.run(f"wget -T 10 -q -O /dev/null {self.url}")
        self.assertNotEqual(status, 0, "the host's loopback is for the host alone")

    def was_captured(self):
        frames = captured_frames(self.capture)
        self.assertTrue(any(b"GET /page" in frame for frame in frames))
        self.assertTrue(any(PAGE[:1000] in frame for frame in frames))
        self.assertTrue(any(b"\0\x07" == frame[36:38] and b"leaves" in frame for frame in frames), "a datagram to port 7")
        self.assertTrue(any(b"sapling" in frame for frame in frames), "the name of the VM, by DHCP")


if __name__ == "__main__":
    unittest.main(verbosity=2)
