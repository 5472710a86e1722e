#!/usr/bin/env python3
"""stress-ng --verify by --engine kvm on two vCPUs: stress_check.py [--seconds N] [--classes NAME,...]

In the nested rig (rig.py), or directly where this machine's KVM has hardware. Too long for every run of the tests. It needs
the guest `tools` (scripts/guests/prepare.sh tools). Each stressor of each class runs for N seconds, two at a time; the status
is 0 when stress-ng found nothing and the guest's kernel has not complained. The rig lives for fifteen minutes (times BANYAN_SLOW): a
class or two at a time.
"""

import argparse
import re
import sys

from rig import APPEND, guest_file, kernel_complaints, open_shell

# No support in Debian's kernel, all of memory, or more bandwidth than there is: as in scripts/stress.sh. In the rig not opcode
# either, which runs random bytes: QEMU's CPU then reads a stack of user mode with the kernel's rights, and the kernel stops.
LEFT_OUT = "uprobe,swap,bigheap,env,cyclic"
LEFT_OUT_NESTED = LEFT_OUT + ",opcode"
LIMIT = 60  # seconds beyond those that were asked for


def stressors(shell, name):
    said, _ = shell.run(f"chroot /mnt stress-ng --class '{name}?' 2>&1")
    return said.rpartition(":")[2].split()


def check(shell, stressor, seconds):
    """Each by itself, so that one that hangs or fails is known by its name. One that skips itself is no failure."""
    start = shell.elapsed()
    limit = seconds + LIMIT
    said, _ = shell.run(f"chroot /mnt sh -c 'cd /tmp; timeout -s KILL {limit} stress-ng --{stressor} 2 --timeout {seconds} "
                        "--verify --oomable --temp-path /tmp >/tmp/said 2>&1; echo status $?; cat /tmp/said'", limit + 30)
    status = int(re.match(r"status (\d+)", said).group(1))
    skipped = "No stress workers invoked" in said
    verdict = "passed" if status == 0 else "skipped itself" if skipped else f"FAILED with {status}"
    print(f"{stressor}: {verdict} after {shell.elapsed() - start:.1f} s", flush=True)
    if status != 0 and not skipped:
        print(said, flush=True)
    return status == 0 or skipped


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
        left_out = (LEFT_OUT_NESTED if shell.nested else LEFT_OUT).split(",")
        good = True
        for name in options.classes.split(","):
            for stressor in stressors(shell, name):
                if stressor not in left_out:
                    good &= check(shell, stressor, options.seconds)
        complaints = kernel_complaints(shell.run("dmesg")[0])
        print(f"the kernel's log: {complaints or 'nothing to complain of'}")
        shell.send("poweroff\n")
        status = shell.status()
    return 0 if good and not complaints and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
