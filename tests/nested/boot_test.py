#!/usr/bin/env python3
"""Debian's kernel by --engine kvm: to its shell with 1, 2 and 4 vCPUs, on both boards, from its initramfs and a disk, and how
its runs end. A boot costs seconds in the rig: each of these guests shows all that can be seen in one."""

import hashlib
import re

from rig import APPEND, PLAIN_APPEND, PROMPT, ShellTest, kernel_complaints, main, report


# A shell with the prompt that the tests wait for.
INIT = r"""printf '#!/bin/sh\nPS1="banyan:\\w# " exec sh -i\n' >start; chmod 755 start"""
LEAVE = "\x1d"  # Ctrl-]
STOPPED, CRASHED = 4, 3  # exit statuses


class BootTest(ShellTest):
    @classmethod
    def extra_files(cls):
        return {"bios.bin": "/usr/share/seabios/bios-256k.bin"}

    def power_off(self):
        self.rig.send("poweroff\n")
        self.assertEqual(self.rig.status(), 0)

    def check_boot(self, cpus, *options, **choices):
        rig = self.rig
        before = rig.elapsed()
        rig.boot("--cpus", str(cpus), *options, **choices)
        report(f"boot to the shell with {cpus} CPUs, {' '.join(options)}: {rig.elapsed() - before:.1f} s")
        self.assertEqual(rig.run("nproc")[0], f"{cpus}\n")
        self.assertEqual(kernel_complaints(rig.run("dmesg")[0]), [])
        self.assertIn("KVM", rig.run("dmesg | grep 'Hypervisor detected'")[0])

    def interrupts(self, kind):
        """What each CPU has had of one kind, a line of /proc/interrupts."""
        line, _ = self.rig.run(f"grep '{kind}' /proc/interrupts")
        return [int(word) for word in re.findall(r"(?<=\s)\d+(?=\s)", line)]

    def test_one_cpu(self):
        """With the kernel as distributions ship it, which unpacks itself, and all that it does by itself."""
        self.check_boot(1, kernel="vmlinuz", append=PLAIN_APPEND)
        numbers = "".join(f"{n}\n" for n in range(1, 20001)).encode()
        self.assertEqual(self.rig.run("seq 1 20000 | gzip | gunzip | md5sum")[0][:32], hashlib.md5(numbers).hexdigest())
        self.power_off()

    def test_two_cpus(self):
        """They interrupt each other; both in the midst of work, they are stopped by Ctrl-]."""
        rig = self.rig
        self.check_boot(2, "--name", "busy")
        rig.run("for i in 1 2 3 4; do (seq 1 2000 | tac | sort -n | md5sum >/tmp/$i) & done; wait", 120)
        self.assertEqual(len(rig.run("sort -u /tmp/1 /tmp/2 /tmp/3 /tmp/4")[0].splitlines()), 1)
        self.assertTrue(all(self.interrupts("LOC:")), "each has a timer of its own")
        self.assertGreater(sum(self.interrupts("RES:") + self.interrupts("CAL:")), 0)
        rig.run("for i in 1 2; do (while :; do :; done) & done")
        rig.send("sleep 1000\n")
        rig.send(LEAVE)
        self.assertEqual(rig.status(), STOPPED)

    def test_four_cpus(self):
        """And a panic is a crash."""
        rig = self.rig
        self.check_boot(4, "--no-reboot", append=APPEND + " panic=5 banyan.modules=pvpanic-mmio")
        self.assertEqual(rig.run("cat /sys/devices/system/cpu/online")[0], "0-3\n")
        rig.send("echo c > /proc/sysrq-trigger\n")
        self.assertEqual(rig.status(90), CRASHED)

    def test_the_pc_board(self):
        """And a reboot boots again."""
        rig = self.rig
        self.check_boot(1, "--machine", "pc")
        self.assertGreater(self.interrupts("timer")[0], 0, "the PIT, by the IO-APIC")
        rig.send("reboot\n")
        rig.expect("Restarting system", 60)
        rig.expect(PROMPT, 90)
        self.assertEqual(rig.run("dmesg | grep -c 'Linux version'")[0], "1\n")
        self.power_off()

    def test_the_8259s_alone(self):
        """Without APICs all interrupts come by INTR. Idle, the guest is left by Ctrl-]."""
        rig = self.rig
        self.check_boot(1, "--machine", "pc", append=APPEND + " noapic nolapic")
        self.assertRegex(rig.run("cat /proc/interrupts")[0], r"0: +[1-9]\d* +XT-PIC +timer")
        rig.send(LEAVE)
        self.assertEqual(rig.status(), STOPPED)

    def test_firmware(self):
        """SeaBIOS copies itself into RAM at places where a ROM was: memory slots come and go."""
        rig = self.rig
        rig.send(f"{rig.path('banyan')} run --engine kvm --machine pc --firmware {rig.path('bios.bin')} --memory 64M; "
                 "echo \"<\"\"status $?>\"\n")
        rig.prompt = PROMPT
        said = rig.position
        rig.expect("SeaBIOS .version 1", 60)
        rig.expect("No bootable device", 60)
        self.assertNotIn("banyan: kvm:", rig.transcript[said:])
        rig.send(LEAVE)
        self.assertEqual(rig.status(), STOPPED)

    def test_a_disk(self):
        """A guest puts itself on a disk; another starts from it."""
        rig = self.rig
        disk = rig.shell("truncate -s 16M /tmp/banyan-disk && echo /tmp/banyan-disk").strip()
        self.addCleanup(lambda: rig.prompt == PROMPT or rig.run(f"rm -f {disk}"))
        rig.boot("--disk", disk, append=APPEND + " banyan.modules=virtio_pci,virtio_blk")
        self.assertEqual(rig.run("mke2fs /dev/vda >/dev/null 2>&1; mkdir /mnt; mount -t ext2 /dev/vda /mnt")[1], 0)
        self.assertEqual(rig.run(f"cp -a /bin /mnt; cd /mnt; mkdir proc sys dev; echo here >mark; {INIT}; cd /; umount /mnt")[1], 0)
        self.power_off()
        rig.boot("--disk", disk, append=APPEND + " root=/dev/vda rootfstype=ext2 init=/start")
        self.assertEqual(rig.run("cat /mark")[0], "here\n")
        self.assertGreater(sum(self.interrupts("virtio0-req")), 0)
        rig.run("mount -o remount,ro /")
        rig.send("/bin/poweroff -f\n")
        self.assertEqual(rig.status(), 0)


if __name__ == "__main__":
    main()
