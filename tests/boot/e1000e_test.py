#!/usr/bin/env python3
"""A guest is on-line by the card that systems know without virtio: Linux's e1000e finds it, negotiates, and carries pages."""

import hashlib
import unittest

import network_test
from harness import BOOT_SECONDS, PROMPT, Console, Machine, banyan_command, guest_file, kernel_complaints, report


class E1000eTest(network_test.NetworkTest):
    def machine(self):
        return Machine(kernel=guest_file("drivers/vmlinuz"), initrd=guest_file("drivers/initramfs"), no_reboot=True,
                       append="console=ttyS0 quiet banyan.modules=e1000e",
                       extra=("--machine", "pc", "--net", "nat,host-loopback=on,model=e1000e"))

    def test_network(self):
        with Console(banyan_command(self.machine())) as self.guest:
            self.guest.expect(PROMPT, BOOT_SECONDS)
            for check in (self.gets_an_address, self.reaches_the_router, self.fetches_and_posts, self.starts_again):
                with self.subTest(check.__name__):
                    check()
            self.guest.send("poweroff -f\n")
            self.assertEqual(self.guest.wait(60), 0, self.guest.stderr())
            report(f"all: {self.guest.elapsed():.1f} s")
            self.assertEqual(kernel_complaints(self.guest.transcript), [])

    def gets_an_address(self):
        self.run_well(network_test.UP)
        self.assertIn("/e1000e\n", self.run_well("readlink /sys/class/net/eth0/device/driver"))
        output = self.run_well("ip link set eth0 up && udhcpc -n -q -t 20 -i eth0 -s /tmp/up")
        self.assertIn("10.0.2.15 10.0.2.2", output)
        self.assertEqual(self.run_well("cat /sys/class/net/eth0/speed /sys/class/net/eth0/mtu").split(), ["1000", "1500"])
        self.assertGreater(self.run_well("grep eth0 /proc/interrupts").count("PCI-MSI"), 2, "a vector for each of its causes")

    def reaches_the_router(self):
        self.run_well("ping -c 2 -W 5 10.0.2.2")
        self.run_well("ping -c 1 -W 5 -s 20000 10.0.2.2")

    def starts_again(self):
        """The driver goes and comes, and asks for its address anew."""
        self.run_well("rmmod e1000e && modprobe e1000e && ip link set eth0 up && udhcpc -n -q -t 20 -i eth0 -s /tmp/up", 120)
        page = hashlib.sha256(network_test.PAGE).hexdigest()
        self.assertIn(page, self.run_well(f"wget -q -O - {self.url} | sha256sum"))


del network_test.NetworkTest  # it has a file of its own

if __name__ == "__main__":
    unittest.main(verbosity=2)
