#!/usr/bin/env python3
"""Debian's kernel with the virtio devices: what its drivers negotiate, and that the devices do their work with it.

One boot serves all the checks of a configuration; each check is a subtest.
"""

import hashlib
import os
import re
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, PROMPT, SLOW, Console, Machine, banyan_command, guest_file, report

# Virtio 1.2, chapter 6.
INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, RING_RESET = 28, 29, 32, 34, 40
BLOCK, BLK_MQ = "0x0002", 12
BALLOON, STATS_VQ, DEFLATE_ON_OOM, PAGE_REPORTING = "0x0005", 1, 2, 5


def features(console):
    """{device type: [bits that the driver has accepted]}"""
    text, _ = console.run("cd /sys/bus/virtio/devices; for d in *; do cat $d/device $d/features; done; cd /", 60)
    words = text.split()
    return {kind: {place for place, bit in enumerate(bits) if bit == "1"} for kind, bits in zip(words[::2], words[1::2])}


def resident(console):
    """The memory, in MiB, that the monitor holds for itself alone."""
    status = Path(f"/proc/{console.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) // 1024


def wait_until(condition, seconds):
    """Whether the condition came true in time, and how many seconds that took."""
    start = time.monotonic()
    while not condition() and time.monotonic() - start < seconds * SLOW:
        time.sleep(0.05)
    return condition(), time.monotonic() - start


class VirtioTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
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
                    self.assertLessEqual({EVENT_IDX, VERSION_1, RING_PACKED, RING_RESET}, bits, kind)
                    # The balloon's driver takes no tables: it works when there is no memory for any.
                    self.assertEqual(INDIRECT_DESC in bits, kind != BALLOON, kind)
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

    def fill_and_free(self, console, mebibytes):
        """The guest fills its memory and frees it again; gives what the monitor held in between."""
        console.run(f"dd if=/dev/zero of=/tmp/fill bs=1M count={mebibytes}", 120)
        full = resident(console)
        console.run("rm /tmp/fill", 60)
        return full

    def test_memory_that_the_guest_frees_goes_back(self):
        with Console(banyan_command(Machine(memory="2560M", no_reboot=True))) as console:
            console.expect(PROMPT, BOOT_SECONDS)
            console.run("coldplug", 60)
            self.assertLessEqual({STATS_VQ, DEFLATE_ON_OOM, PAGE_REPORTING}, features(console)[BALLOON])
            full = self.fill_and_free(console, 1024)
            self.assertGreater(full, 1024)
            # Linux reports a part of its free pages every two seconds: how long it takes is its affair.
            back, seconds = wait_until(lambda: full - resident(console) >= 900, 60)
            report(f"free page reporting: {full} MiB fell to {resident(console)} MiB in {seconds:.1f} s")
            self.assertTrue(back, f"{full} MiB were held, {resident(console)} still are")
            with self.subTest("and comes again"):
                text, _ = console.run("dd if=/dev/urandom of=/tmp/a bs=1M count=64; cp /tmp/a /tmp/b; sleep 3; "
                                      "md5sum /tmp/a /tmp/b", 120)
                sums = {line.split()[0] for line in text.splitlines() if "/tmp/" in line}
                self.assertEqual(len(sums), 1)
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0)

    def test_the_guest_gets_along_with_less_when_asked(self):
        machine = Machine(memory="2560M", no_reboot=True, extra=("--balloon", "300M"))
        with Console(banyan_command(machine)) as console:
            console.expect(PROMPT, BOOT_SECONDS)
            full = self.fill_and_free(console, 1024)
            console.run("coldplug", 60)  # the balloon's driver
            back, seconds = wait_until(lambda: full - resident(console) >= 900, 60)
            report(f"balloon: {full} MiB fell to {resident(console)} MiB in {seconds:.1f} s")
            self.assertTrue(back, f"{full} MiB were held, {resident(console)} still are")

            def free():
                text, _ = console.run("grep MemFree: /proc/meminfo")
                return int(text.split()[1]) // 1024
            less, _ = wait_until(lambda: free() < 300, 30)
            self.assertTrue(less, "the pages are in the balloon, and not just free")
            with self.subTest("out of memory, the driver takes pages out of the balloon"):
                _, status = console.run("dd if=/dev/zero of=/tmp/fill bs=1M count=600", 120)
                self.assertEqual(status, 0)
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0)

    def test_sockets(self):
        path = Path(self.directory) / "vm.vsock"
        machine = Machine(initrd=guest_file("vsock/initramfs") + "," + guest_file("vsock/program"), no_reboot=True,
                          extra=("--vsock", f"42,path={path}"))
        with Console(banyan_command(machine)) as console:
            console.expect(PROMPT, BOOT_SECONDS)
            console.run("coldplug; modprobe vmw_vsock_virtio_transport", 60)
            with self.subTest("nobody is behind a port"):
                text, status = console.run("vsock connect 81 </dev/null")
                self.assertEqual(status, 1, text)
            with self.subTest("the guest reaches a port of the host"):
                self.check_guest_to_host(console, path)
            with self.subTest("the host reaches a port of the guest"):
                self.check_host_to_guest(console, path)
            console.send("poweroff\n")
            self.assertEqual(console.wait(60), 0)
        self.assertFalse(path.exists())

    def check_guest_to_host(self, console, path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{path}_80")
            listener.listen()
            listener.settimeout(60 * SLOW)

            def answer():
                peer, _ = listener.accept()
                with peer:
                    peer.settimeout(60 * SLOW)
                    data = b"".join(iter(lambda: peer.recv(65536), b""))
                    peer.sendall(hashlib.md5(data).hexdigest().encode() + b"\n")
            host = threading.Thread(target=answer)
            host.start()
            text, status = console.run("head -c 8000000 /dev/urandom >/tmp/sent; md5sum </tmp/sent; "
                                       "vsock connect 80 </tmp/sent", 120)
            host.join(60 * SLOW)
        self.assertEqual(status, 0)
        sums = [line.split()[0] for line in text.splitlines() if line]
        self.assertEqual(sums[0], sums[1])

    def check_host_to_guest(self, console, path):
        console.send("vsock listen 1234\n")
        console.expect(r"^listening", 30)
        sent = os.urandom(4_000_000)
        with socket.socket(socket.AF_UNIX) as host:
            host.settimeout(60 * SLOW)
            host.connect(str(path))
            host.sendall(b"CONNECT 1234\n")
            line = b""
            while not line.endswith(b"\n"):
                line += host.recv(1)
            self.assertRegex(line, rb"^OK \d+\n$")

            def send():
                host.sendall(sent)
                host.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            echo = b"".join(iter(lambda: host.recv(65536), b""))
            sender.join(60 * SLOW)
        self.assertEqual(hashlib.md5(echo).hexdigest(), hashlib.md5(sent).hexdigest())
        console.expect(PROMPT, 30)


if __name__ == "__main__":
    unittest.main()
