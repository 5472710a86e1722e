#!/usr/bin/env python3
"""Disks and network cards come to a running guest, are used for real, and go; and a disk grows.

`hotplug_test.py --rounds 100` has a disk and a card come and go a hundred times, while the guest is busy with another disk.
"""

import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from harness import (BOOT_SECONDS, SLOW, Console, Machine, banyan_command, kernel_complaints, own_directory, report,
                     vmm_path)
from qmp import Qmp, Refused, run_directory

ROUNDS = 5
LARGE_KIB = 8 << 10  # a mapping of the guest's memory, or of code that was translated for it
MOST_GROWTH_KIB = 512
MODULES = "banyan.modules=virtio_pci,virtio_blk,virtio_net"
UP = """printf '%s\\n' '#!/bin/sh' '[ "$1" = bound ] || exit 0' 'ip addr add $ip/$mask dev $interface' \
'ip route add default via $router' >/tmp/up; chmod +x /tmp/up"""


class HotplugTest(unittest.TestCase):
    def setUp(self):
        self.directory = own_directory(self, "XDG_RUNTIME_DIR")
        self.system = self.new_disk("system.img", 8)
        self.data = self.new_disk("data.img", 16)

    def new_disk(self, name, mebibytes):
        path = self.directory / name
        with path.open("wb") as file:
            file.truncate(mebibytes << 20)
        return path

    def start(self, name, *extra, **options):
        machine = Machine(append=f"console=ttyS0 {options.pop('modules', MODULES)}", disks=(f"{self.system},format=raw",),
                          extra=("--name", name, "--net", "none", *extra), memory="128M", **options)
        return Console(banyan_command(machine))

    def device(self, *words, status=0):
        """What `banyan device` prints, or says on standard error when it is to fail."""
        done = subprocess.run([vmm_path(), "device", *map(str, words)], capture_output=True, text=True, timeout=120 * SLOW,
                              cwd=self.directory)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout.strip() if status == 0 else done.stderr

    def well(self, command, seconds=60):
        output, status = self.guest.run(command, seconds)
        self.assertEqual(status, 0, output)
        return output

    def wait_in_guest(self, condition):
        self.well(f"for i in $(seq 300); do {condition} && break; usleep 100000; done; {condition}")

    def test_devices_come_and_go(self):
        with self.start("micro") as self.guest:
            self.guest.expect(self.guest.prompt, BOOT_SECONDS)
            for check in (self.a_disk_comes, self.it_grows, self.it_goes, self.a_card_comes_and_goes, self.by_qmp,
                          self.what_is_wrong_is_said, self.again_and_again, self.a_reboot_keeps_what_was_added):
                with self.subTest(check.__name__):
                    check()
            self.guest.send("poweroff -f\n")
            self.assertEqual(self.guest.wait(60), 0, self.guest.stderr())
            report(f"micro: {self.guest.elapsed():.1f} s")

    def test_on_a_pc(self):
        with self.start("pc", "--machine", "pc") as self.guest:
            self.guest.expect(self.guest.prompt, BOOT_SECONDS)
            self.a_disk_comes()
            self.it_goes()
            self.no_complaints()
            report(f"pc: {self.guest.elapsed():.1f} s")

    def name(self):
        return self.guest.command[self.guest.command.index("--name") + 1]

    def no_complaints(self):
        log = self.well("dmesg")
        self.assertEqual(kernel_complaints(log), [])
        self.assertNotRegex(log, r"can't assign|no space for|failed to assign|I/O error|ACPI (Error|BIOS)")

    def a_disk_comes(self):
        self.assertEqual(self.device("add", self.name(), "--disk", "data.img,format=raw,serial=data"), "disk1")
        self.wait_in_guest("[ -b /dev/vdb ]")
        self.well("mke2fs -q /dev/vdb && mkdir -p /tmp/m && mount -t ext2 /dev/vdb /tmp/m && "
                  "dd if=/dev/urandom of=/tmp/m/file bs=64k count=32 2>/dev/null && sync && "
                  "sha256sum /tmp/m/file >/tmp/sum && umount /tmp/m && mount -t ext2 /dev/vdb /tmp/m && "
                  "sha256sum -c /tmp/sum && umount /tmp/m && [ $(cat /sys/block/vdb/serial) = data ]")
        self.assertEqual([(one["id"], one["kind"], one["state"]) for one in
                          json.loads(self.device("list", self.name(), "--json"))],
                         [("disk0", "disk", "fixed"), ("disk1", "disk", "added")])
        self.assertIn("data.img", self.device("list", self.name()))

    def it_grows(self):
        self.device("resize", "micro", "disk1", "24M")
        self.wait_in_guest("[ $(cat /sys/block/vdb/size) = 49152 ]")
        self.assertEqual(self.data.stat().st_size, 24 << 20)
        self.assertIn("smaller", self.device("resize", "micro", "disk1", "1M", status=1))
        self.device("resize", "micro", "disk0", "9M")
        self.wait_in_guest("[ $(cat /sys/block/vda/size) = 18432 ]")

    def it_goes(self):
        self.device("remove", self.name(), "disk1")
        self.wait_in_guest("[ ! -e /dev/vdb ]")
        self.assertEqual([one["id"] for one in json.loads(self.device("list", self.name(), "--json"))], ["disk0"])

    def a_card_comes_and_goes(self):
        self.assertEqual(self.device("add", "micro", "--net", "nat", "--id", "uplink"), "uplink")
        self.wait_in_guest("[ -e /sys/class/net/eth0 ]")
        self.well(UP)
        self.well("ip link set eth0 up && udhcpc -n -q -i eth0 -s /tmp/up && ping -c 2 -W 5 10.0.2.2")
        self.device("remove", "micro", "uplink")
        self.wait_in_guest("[ ! -e /sys/class/net/eth0 ]")

    def by_qmp(self):
        with Qmp(run_directory() / f"{self.guest.process.pid}.qmp") as qmp:
            qmp.ask("blockdev-add", **{"driver": "raw", "node-name": "node", "read-only": True,
                                       "file": {"driver": "file", "filename": str(self.data)}})
            qmp.ask("device_add", driver="virtio-blk-pci", drive="node", id="hot")
            self.wait_in_guest("[ -b /dev/vdb ]")
            self.well("[ $(cat /sys/block/vdb/ro) = 1 ]")
            with self.assertRaisesRegex(Refused, "in use"):
                qmp.ask("blockdev-del", **{"node-name": "node"})
            qmp.ask("device_del", id="hot")
            self.assertEqual(qmp.event("DEVICE_DELETED")["data"], {"device": "hot", "path": "/machine/peripheral/hot"})
            qmp.ask("blockdev-del", **{"node-name": "node"})
            qmp.ask("netdev_add", type="user", id="back")
            qmp.ask("device_add", driver="virtio-net-pci", netdev="back", id="card", mac="02:00:00:00:00:42")
            self.wait_in_guest("grep -q 02:00:00:00:00:42 /sys/class/net/eth*/address 2>/dev/null")
            qmp.ask("device_del", id="card")
            qmp.event("DEVICE_DELETED")
            qmp.ask("netdev_del", id="back")
            with self.assertRaisesRegex(Refused, "DeviceNotFound: Device 'hot' not found"):
                qmp.ask("device_del", id="hot")

    def what_is_wrong_is_said(self):
        add, name = "add", "micro"
        self.assertIn("Device 'nothing' not found", self.device("remove", name, "nothing", status=1))
        self.assertIn("was there when the VM was started", self.device("remove", name, "disk0", status=1))
        self.assertIn("No such file or directory", self.device(add, name, "--disk", "nowhere.img", status=1))
        self.assertIn("another VM or program uses it", self.device(add, name, "--disk", self.system, status=1))
        self.assertIn("there is one with the id disk0",
                      self.device(add, name, "--disk", self.data, "--id", "disk0", status=1))
        self.assertIn("must begin with a letter", self.device(add, name, "--disk", self.data, "--id", "7", status=1))
        self.assertIn("bus virtio only", self.device(add, name, "--disk", f"{self.data},bus=scsi", status=2))
        self.assertIn("virtio cards only", self.device(add, name, "--net", "nat,model=e1000e", status=2))
        self.assertIn("either --disk or --net", self.device(add, name, status=2))
        self.assertIn("no VM of this name", self.device("list", "nobody", status=1))
        with self.subTest("there is no place left"):
            files = [self.new_disk(f"{n}.img", 1) for n in range(9)]
            for file in files[:8]:
                self.device(add, name, "--disk", f"{file},format=raw")
            self.assertIn("no place for one is free", self.device(add, name, "--disk", f"{files[8]},format=raw", status=1))
            for n in range(1, 9):
                self.device("remove", name, f"disk{n}")

    def figures(self):
        """What the VM's process keeps: the least of a second. It has files open for a moment, as where it publishes its figures,
        and a client's connection until it looks at it; what has leaked is there each time."""
        looks = []
        for _ in range(20):
            looks.append(self.look())
            time.sleep(0.05)
        return tuple(map(min, zip(*looks)))

    def look(self):
        """Descriptors, threads, and resident KiB of the VM's process but for what its guest fills: memory and translations."""
        process = Path("/proc") / str(self.guest.process.pid)
        resident, size = 0, 0
        for line in (process / "smaps").read_text().splitlines():
            key, _, value = line.partition(":")
            if key == "Size":
                size = int(value.split()[0])
            elif key == "Rss" and size < LARGE_KIB:
                resident += int(value.split()[0])
        return len(os.listdir(process / "fd")), len(os.listdir(process / "task")), resident

    def again_and_again(self):
        self.well("(while :; do dd if=/dev/vda of=/dev/null bs=64k; done) >/dev/null 2>&1 & echo $! >/tmp/load")
        before = None
        for number in range(ROUNDS + 2):
            if number == 2:
                before = self.figures()
            self.device("add", "micro", "--disk", f"{self.data},format=raw")
            self.device("add", "micro", "--net", "nat")
            self.wait_in_guest("[ -b /dev/vdb ] && [ -e /sys/class/net/eth0 ]")
            self.well("dd if=/dev/vdb of=/dev/null bs=64k count=64 2>/dev/null && ip link set eth0 up")
            self.device("remove", "micro", "net0")
            self.device("remove", "micro", "disk1")
        after = self.figures()
        self.well("kill $(cat /tmp/load)")
        report(f"{ROUNDS} rounds: descriptors {before[0]} -> {after[0]}, threads {before[1]} -> {after[1]}, "
               f"resident {before[2]} -> {after[2]} KiB")
        self.assertEqual(after[:2], before[:2])
        self.assertLess(after[2], before[2] + MOST_GROWTH_KIB)
        self.no_complaints()

    def a_reboot_keeps_what_was_added(self):
        self.device("add", "micro", "--disk", f"{self.data},format=raw,serial=kept")
        self.wait_in_guest("[ -b /dev/vdb ]")
        self.guest.send("reboot -f\n")
        self.guest.expect(self.guest.prompt, BOOT_SECONDS)
        self.well("[ $(cat /sys/block/vdb/serial) = kept ]")
        self.device("remove", "micro", "disk1")
        self.no_complaints()

    def test_a_guest_that_does_not_answer(self):
        with self.start("deaf", modules="acpiphp.disable=1") as self.guest:
            self.guest.expect(self.guest.prompt, BOOT_SECONDS)
            self.device("add", "deaf", "--disk", f"{self.data},format=raw")
            self.assertIn("has not let go of disk1 within 1 s", self.device("remove", "deaf", "disk1", "-t", "1", status=1))
            self.assertIn("leaving", self.device("list", "deaf"))
            with self.subTest("a reboot ends it"):
                with Qmp(run_directory() / f"{self.guest.process.pid}.qmp") as qmp:
                    qmp.ask("system_reset")
                    self.assertEqual(qmp.event("DEVICE_DELETED")["data"]["device"], "disk1")
            with self.subTest("one that stands still cannot answer"):
                self.guest.expect(self.guest.prompt, BOOT_SECONDS)
                self.device("add", "deaf", "--disk", f"{self.data},format=raw")
                subprocess.run([vmm_path(), "pause", "deaf"], check=True, timeout=60 * SLOW)
                self.assertIn("stands still", self.device("remove", "deaf", "disk1", status=1))


if __name__ == "__main__":
    if "--rounds" in sys.argv:
        at = sys.argv.index("--rounds")
        ROUNDS = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main(verbosity=2)
