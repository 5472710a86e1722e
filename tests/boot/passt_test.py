#!/usr/bin/env python3
"""A guest on --net passt: DHCP, a published port, two pairs of queues; and its passt ends when the VM's process is killed."""

import os
import shutil
import socket
import unittest
import urllib.request
from pathlib import Path

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command
from network_test import UP, eventually, free_port

SIZE = 2 << 20


def children_of(process):
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@unittest.skipIf(shutil.which("passt") is None, "there is no passt: install the package")
class PasstTest(unittest.TestCase):
    def test_passt(self):
        web = free_port(socket.SOCK_STREAM)
        machine = Machine(append="console=ttyS0 quiet banyan.modules=virtio_pci,virtio_net", no_reboot=True,
                          extra=("--net", "passt,queues=2", "--publish", f"{web}:80"))
        with Console(banyan_command(machine)) as guest:
            guest.expect(PROMPT, BOOT_SECONDS)
            output, status = guest.run(f"{UP}; ip link set eth0 up && udhcpc -n -q -i eth0 -s /tmp/up")
            self.assertEqual(status, 0, output)
            self.assertIn("10.0.2.15 10.0.2.2 10.0.2.3 24", output)
            guest.run(f"mkdir -p /www; dd if=/dev/zero of=/www/page bs=64k count={SIZE >> 16}; httpd -p 80 -h /www")
            fetch = lambda: urllib.request.urlopen(f"http://127.0.0.1:{web}/page", timeout=30 * SLOW).read()
            self.assertEqual(len(eventually(fetch)), SIZE)
            (passt,) = children_of(guest.process.pid)
            guest.process.kill()
            guest.process.wait()
            eventually(lambda: not os.path.exists(f"/proc/{passt}"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
