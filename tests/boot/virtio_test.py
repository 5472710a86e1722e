#!/usr/bin/env python3
"""Debian's kernel with the virtio devices: what its drivers negotiate, and that the devices do their work with it.

One boot serves all the checks of a configuration; each check is a subtest.
"""

import hashlib
import os
import tempfile
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, PROMPT, Console, Machine, banyan_command

# Virtio 1.2, chapter 6.
INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, RING_RESET = 28, 29, 32, 34, 40
BLOCK, BLK_MQ = "0x0002", 12


def features(console):
    """{device type: [bits that the driver has accepted]}"""
    text, _ = console.run("cd /sys/bus/virtio/devices; for d in *; do cat $d/device $d/features; done; cd /", 60)
    words = text.split()
    return {kind: {place for place, bit in enumerate(bits) if bit == "1"} for kind, bits in zip(words[::2], words[1::2])}


class VirtioTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.disk = Path(directory.name) / "disk.img"
        self.disk.write_bytes(os.urandom(4 << 20))

    def test_rings_and_queues(self):
        with Console(banyan_command(Machine(cpus=2, disks=(self.disk,), no_reboot=True))) as console:
            console.expect(PROMPT, BOOT_SECONDS)
            console.run("coldplug", 60)
            accepted = features(console)
            with self.subTest("every driver has what Linux knows of the rings"):
                self.assertIn(BLOCK, accepted)
                for kind, bits in accepted.items():
                    self.assertLessEqual({INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, RING_RESET}, bits, kind)
            with self.subTest("the disk has a queue for each CPU"):
                self.assertIn(BLK_MQ, accepted[BLOCK])
                queues, _ = console.run("ls /sys/block/vda/mq")
                self.assertEqual(queues.split(), ["0", "1"])
            with self.subTest("both CPUs read what the disk holds"):
                both = "for cpu in 0 1; do taskset $((cpu + 1)) md5sum /dev/vda & done; wait"
                text, _ = console.run("taskset 1 md5sum /dev/vda; echo 3 >/proc/sys/vm/drop_caches; "
                                      f"taskset 2 md5sum /dev/vda; echo 3 >/proc/sys/vm/drop_caches; {both}", 60)
                sums = {line.split()[0] for line in text.splitlines() if line.endswith("/dev/vda")}
                self.assertEqual(sums, {hashlib.md5(self.disk.read_bytes()).hexdigest()})
            with self.subTest("writes reach it"):
                text, status = console.run("dd if=/dev/urandom of=/dev/vda bs=64k count=32 conv=fsync; "
                                           "dd if=/dev/vda bs=64k count=32 | md5sum", 60)
                self.assertEqual(status, 0)
                digest = [line.split()[0] for line in text.splitlines() if line.endswith("-")][-1]
                self.assertEqual(digest, hashlib.md5(self.disk.read_bytes()[:2 << 20]).hexdigest())
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
