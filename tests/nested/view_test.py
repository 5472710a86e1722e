#!/usr/bin/env python3
"""The same machine by --engine kvm and --engine soft: what a guest sees of it, as view.asm tells."""

import tempfile
from pathlib import Path

from rig import ShellTest, guests, main

SOURCE = Path(__file__).resolve().parent
EAX, EBX, ECX, EDX = range(4)
ALL = 0xFFFFFFFF

# Bits of CPUID that may differ, and why: {(leaf, register): (bits, reason)}.
OSXSAVE = 1 << 27
TIMING = "what the host's counter runs at"
PARAVIRTUAL = "KVM's features are those of the kernel"
FLAWS = "flaws and remedies are the processor's own under KVM"
MAY_DIFFER = {
    (0x15, EBX): (ALL, TIMING), (0x16, EAX): (ALL, TIMING), (0x16, EBX): (ALL, TIMING),
    (0x40000010, EAX): (ALL, TIMING),
    (0x40000001, EAX): (ALL, PARAVIRTUAL),
    (0x80000007, EDX): (1 << 8, "the soft engine's counter is invariant, a host's may not be"),
    (0x80000008, EBX): (ALL, FLAWS), (0x80000021, EAX): (ALL, FLAWS), (0x80000021, ECX): (ALL, FLAWS),
    (7, EDX): (ALL, FLAWS),
}
# Where KVM may have less than the soft engine, which interprets what the host lacks; never more.
MAY_LACK = {(1, ECX), (1, EDX), (7, EBX), (7, ECX), (0x80000001, ECX), (0x80000001, EDX)}


def parse(text):
    """({(leaf, subleaf): registers}, the other lines)."""
    cpuid, others = {}, []
    for line in text.splitlines():
        kind, *words = line.split()
        if kind != "cpuid":
            others.append(line)
            continue
        leaf, subleaf, *registers = (int(word, 16) for word in words)
        cpuid[leaf, subleaf] = registers
    return cpuid, others


def without_generation(lines):
    """The page of the generation identifier differs from one VM to the next."""
    return [line for line in lines if not line.startswith("tables 000ff000")]


class ViewTest(ShellTest):
    @classmethod
    def extra_files(cls):
        with tempfile.TemporaryDirectory() as directory:
            image = Path(directory) / "view"
            guests.build(SOURCE / "view.asm", 1, image)
            return {"view": image.read_bytes()}

    def view(self, engine, *options):
        rig = self.rig
        log = f"/tmp/banyan-view-{engine}"
        rig.shell(" ".join([rig.path("banyan"), "run --engine", engine, *(rig.cpu_options or ["--cpu", "x86-64-v2"]),
                            "--memory 64M --console none --no-reboot --debug-exit", guests.EXIT_PORT, "--debugcon", log,
                            "--kernel", rig.path("view"), *options, f"; [ $? = {guests.PASSED} ]"]))
        return parse(rig.shell(f"cat {log}; rm {log}"))

    def check_cpuid(self, kvm, soft):
        self.assertEqual(sorted(kvm), sorted(soft))
        for (leaf, subleaf), registers in soft.items():
            for number, name in enumerate(("eax", "ebx", "ecx", "edx")):
                bits, _ = MAY_DIFFER.get((leaf, number), (0, ""))
                mine, other = kvm[leaf, subleaf][number] & ~bits, registers[number] & ~bits
                if (leaf, number) in MAY_LACK:
                    mine, other = mine & ~other, 0
                with self.subTest(f"cpuid {leaf:#x}.{subleaf} {name}"):
                    self.assertEqual(f"{mine:08x}", f"{other:08x}")

    def check(self, *options):
        kvm_cpuid, kvm = self.view("kvm", *options)
        soft_cpuid, soft = self.view("soft", *options)
        self.assertGreater(len(soft), 16)
        self.assertEqual(without_generation(kvm), without_generation(soft))
        self.check_cpuid(kvm_cpuid, soft_cpuid)

    def test_micro(self):
        self.check()

    def test_pc_with_four_cpus(self):
        self.check("--machine", "pc", "--cpus", "4")


if __name__ == "__main__":
    main()
