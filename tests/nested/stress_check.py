#!/usr/bin/env python3
"""stress-ng --verify by --engine kvm on two vCPUs: stress_check.py [--seconds N] [--classes NAME,...]

In the nested rig (rig.py), or directly where this machine's KVM has hardware. Too long for every run of the tests. It needs
the guest `tools` (scripts/guests/prepare.sh tools). Each stressor of each class runs for N seconds; the status is 0 when
stress-ng found nothing and the guest's kernel has not complained.
"""

import argparse
import re
import sys

from rig import APPEND, guest_file, kernel_complaints, open_shell

# No support in Debian's kernel, all of memory, or more bandwidth than there is: as in scripts/stress.sh. In the rig not opcode
# either, which runs random bytes: QEMU's CPU then reads a stack of user mode with the kernel's rights, and the kernel stops.
LEFT_OUT = "uprobe,swap,bigheap,env,cyclic"
LEFT_OUT_NESTED = LEFT_OUT + ",opcode"
LIMIT = 3600


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--classes", default="cpu,memory,vm,scheduler")
    options = parser.parse_args()
    disk = guest_file("tools/disk.img")
    with open_shell({}, ("-m", "2G", "-drive", f"file={disk},format=raw,if=virtio,readonly=on")) as shell:
        if shell.nested:
            shell.shell("modprobe -a virtio_pci virtio_blk")
            disk = "/dev/vda"
        shell.boot("--cpus", "2", "--disk", f"{disk},readonly=on", memory="768M",
                   append=APPEND + " banyan.modules=virtio_pci,virtio_blk,ext4", seconds=120)
        said, status = shell.run("mkdir -p /mnt /dev/shm && mount -t ext4 -o ro,noload /dev/vda /mnt && "
                                 "for i in dev proc sys; do mount --bind /$i /mnt/$i; done && mount -t tmpfs tmpfs /mnt/tmp && "
                                 "mount -t tmpfs tmpfs /mnt/dev/shm")
        if status != 0:
            raise SystemExit(f"banyan: stress: the guest cannot mount its disk: {said}")
        left_out = LEFT_OUT_NESTED if shell.nested else LEFT_OUT
        good = True
        for name in options.classes.split(","):
            said, status = shell.run(f"chroot /mnt sh -c 'cd /tmp; stress-ng --class {name} --sequential 2 --timeout "
                                     f"{options.seconds} --verify --oomable --temp-path /tmp --exclude {left_out} 2>&1 | "
                                     "grep -E \"fail|error|passed|completed|skipped\" | tail -n 8'", LIMIT)
            print(f"{name}:\n{said}", flush=True)
            good &= status == 0 and re.search(r"\bsuccessful run completed", said) is not None
        complaints = kernel_complaints(shell.run("dmesg")[0])
        print(f"the kernel's log: {complaints or 'nothing to complain of'}")
        shell.send("poweroff\n")
        status = shell.status()
    return 0 if good and not complaints and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
