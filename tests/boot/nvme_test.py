#!/usr/bin/env python3
"""Debian with its root on NVMe: a file system on a second disk keeps what was written, and the driver has no complaint."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import BOOT_SECONDS, Console, Machine, banyan_command, guest_file, kernel_complaints, report, vmm_path

COMMAND = ("mkfs.ext4 -q /dev/nvme1n1 && mkdir /tmp/m && mount /dev/nvme1n1 /tmp/m && "
           "dd if=/dev/urandom of=/tmp/m/f bs=64k count=300 conv=fsync && sha256sum /tmp/m/f >/tmp/sum && "
           "cp /tmp/sum /tmp/m/sum && umount /tmp/m && echo 3 >/proc/sys/vm/drop_caches && mount /dev/nvme1n1 /tmp/m && "
           "sha256sum -c /tmp/sum && rm -rf /tmp/m/f && sync && fstrim -v /tmp/m && umount /tmp/m; result=$?; "
           "cat /sys/block/nvme*/device/serial; dmesg | grep nvme; exit $result")


class NvmeTest(unittest.TestCase):
    def test_keeps_what_was_written(self):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            data = directory / "data.qcow2"
            root = directory / "root.qcow2"
            create = [vmm_path(), "image", "create"]
            subprocess.run([*create, data, "64M"], check=True, capture_output=True)
            subprocess.run([*create, "-b", guest_file("debian/disk.img"), "-F", "raw", root], check=True,
                           capture_output=True)
            machine = Machine(append=f'console=ttyS0 quiet root=/dev/nvme0n1 banyan.run="{COMMAND}"',
                              disks=(f"{root},format=qcow2,bus=nvme,serial=root-disk",
                                     f"{data},format=qcow2,bus=nvme,serial=data-disk"), cpus=2, no_reboot=True)
            with Console(banyan_command(machine)) as console:
                status = console.expect(r"banyan-status: (\d+)", BOOT_SECONDS).group(1)
                self.assertEqual(console.wait(60), 0, console.stderr())
                report(f"a boot from NVMe, and 19 MiB written and read: {console.elapsed():.1f} s")
            shown = console.transcript
        self.assertEqual(status, "0", shown)
        self.assertIn("/tmp/m/f: OK", shown)
        self.assertRegex(shown, r"/tmp/m: .*trimmed")
        self.assertRegex(shown, r"root-disk\s*\r*\ndata-disk")
        self.assertRegex(shown, r"nvme nvme1: 2/0/0 default/read/poll queues")
        self.assertNotRegex(shown, r"nvme.*(timeout|error|failed|missing|invalid)")
        self.assertEqual(kernel_complaints(shown), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
