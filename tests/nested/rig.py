"""Where KVM's tests run: a shell from which `banyan run --engine kvm` can be typed.

Where this machine's /dev/kvm has hardware behind it, that is a shell here (Direct). Elsewhere it is the nested rig (Rig):
Debian's cloud kernel under QEMU's TCG, which emulates AMD-V with nested paging, so that Debian's own kvm_amd works there,
with the built banyan inside. Both are driven through one console: first the shell, and inside of it whatever `banyan run`
shows.

Beside the variables of tests/boot/harness.py:
  BANYAN_RIG        nested or direct: instead of what would be chosen
  BANYAN_RIG_CPUS   how many CPUs the nested rig has (default 1: see CPUS)
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

for folder in ("boot", "guests"):
    sys.path.append(str(Path(__file__).resolve().parents[1] / folder))  # after this folder, which has files of the same names

import run as guests  # noqa: E402
from archive import Archive  # noqa: E402
from harness import (PROMPT, SLOW, Console, guest_file, kernel_complaints, report, vmm_path)  # noqa: E402

QEMU = "qemu-system-x86_64"
SKIPPED = 77  # what CMakeLists.txt and ctest take for a skipped test
RIG_PROMPT = r"rig:/\S*# "
RIG_BOOT_SECONDS = 90
# Factor on all limits: the guest's processor is emulated, twice over, on a host whose CPUs are shared.
PATIENCE = 4
# With several, guests crashed, and the rig itself hung, once in a few hundred boots: QEMU's SVM is not made for it. VMRUN changes the CPU's
# pending interrupts without the lock under which other CPUs set theirs, so one can get lost; and it leaves the vector that it
# has injected behind as the next exception, which is delivered again when another CPU stops this one just then, whatever the guest's IF.
CPUS = "1"
# For a QEMU whose test was killed: nothing else would end it.
RIG_LIFE_SECONDS = 900
MODULES = ("virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko", "arch/x86/kvm/kvm-amd.ko")
# A vCPU that halts gives its CPU back at once: to poll for a while only makes the others slower.
MODULE_OPTIONS = {"arch/x86/kvm/kvm.ko": "halt_poll_ns=0"}
# Without work against flaws of real processors, which would only slow TCG down.
PLAIN_APPEND = "console=ttyS0 quiet mitigations=off"
# Without what takes a third of a boot in the rig, and has nothing to do with the machine: the kernel's tests of its own ciphers,
# kprobes, certificates, the files of its allocator, IPv6, keys.
LEFT_OUT = ("crypto_kdf108_init", "init_kprobe_trace", "load_system_certificate_list", "slab_sysfs_init", "inet6_init",
            "init_encrypted")
# And with more patience, on a host whose CPUs are shared: a guest that hangs is noticed by what it does not say.
APPEND = (f"{PLAIN_APPEND} cryptomgr.notests initcall_blacklist={','.join(LEFT_OUT)} "
          "rcupdate.rcu_cpu_stall_timeout=120")
# Without a network, which only costs.
PLAIN_MACHINE = ("--net", "none")
LINE = "/dev/ttyS1"  # of the rig: its other end is the socket Rig.line of this machine


class Shell(Console):
    """A shell at its prompt, with /dev/kvm; to be used in a `with`. `extra`: {place: file or bytes} for path()."""

    nested = False
    cpu_options = ()

    def expect(self, pattern, seconds=30):
        return super().expect(pattern, PATIENCE * seconds)

    def path(self, place):
        """Where a file of `extra`, or one of those that are always there, lies for the shell."""
        raise NotImplementedError

    def take_prompt(self):
        self.prompt = RIG_PROMPT
        # In two parts, so that the echo of the command is not taken for the prompt.
        self.send("P=rig; PS1=\"$P:/# \"; stty cols 500\n")
        self.expect(RIG_PROMPT)

    def shell(self, command, seconds=60):
        """What a command in the shell prints; it has to succeed."""
        output, status = self.run(command, seconds)
        if status != 0:
            raise AssertionError(f"{command!r} ended with {status}: {output}")
        return output

    def run_command(self, *options, engine="kvm", memory="256M", kernel="vmlinux", append=APPEND):
        """A `banyan run` of the small guest, to be typed. vmlinux is the unpacked kernel, which spares seconds."""
        return shlex.join([self.path("banyan"), "run", "--engine", engine, *self.cpu_options, *PLAIN_MACHINE, "--memory", memory,
                           "--kernel", self.path(kernel), "--initrd", self.path("initramfs"), "--append", append,
                           *options])

    def start(self, *options, **choices):
        """Types the command; what follows on the console is its guest, up to the status. Who never comes to that leaves a
        shell that the next test does not get."""
        self.prompt = PROMPT
        self.send(self.run_command(*options, **choices) + "; echo \"<\"\"status $?>\"\n")

    def boot(self, *options, seconds=90, **choices):
        """start(), and waits for the prompt of the guest's shell; run() then runs there."""
        self.start(*options, **choices)
        self.expect(PROMPT, seconds)
        self.prompt = PROMPT

    def status(self, seconds=60):
        """Waits for the end of what was started; its exit status."""
        status = int(self.expect(r"<status (\d+)>", seconds).group(1))
        self.prompt = RIG_PROMPT
        self.expect(RIG_PROMPT)
        return status


class Rig(Shell):
    nested = True
    # A model without XSAVE: QEMU 7.2's TCG does not intercept XSETBV (AMD APM vol. 2 section 15.9), so that KVM does not
    # know the guest's XCR0 there, and tells the guest wrong sizes.
    cpu_options = ("--cpu", "x86-64-v2")

    def __init__(self, extra=None, options=()):
        cpus = int(os.environ.get("BANYAN_RIG_CPUS", CPUS))
        self.directory = tempfile.TemporaryDirectory(prefix="banyan-rig-")
        self.line = f"{self.directory.name}/line"
        options = ("-chardev", f"socket,id=line,path={self.line},server=on,wait=off", "-serial", "chardev:line", *options)
        with tempfile.NamedTemporaryFile(prefix="banyan-rig-") as initrd:
            initrd.write(pack(extra or {}))
            initrd.flush()
            super().__init__(qemu_command(initrd.name, cpus, options))
            try:
                self.expect(PROMPT, RIG_BOOT_SECONDS)
                self.take_prompt()
                self.shell("dmesg -n 1")  # KVM's remarks would fall into what is expected
                for module in MODULES:
                    self.shell(f"insmod {self.path(Path(module).name)} {MODULE_OPTIONS.get(module, '')}")
            except BaseException:
                self.__exit__()
                raise

    def path(self, place):
        return f"/rig/{place}"

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.directory.cleanup()


class Direct(Shell):
    def __init__(self, extra=None):
        self.directory = tempfile.TemporaryDirectory(prefix="banyan-rig-")
        for place, content in {**standard_files(), **(extra or {})}.items():
            target = Path(self.path(place))
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                target.write_bytes(content)
            else:
                target.symlink_to(Path(content).resolve())
        super().__init__(["/bin/sh", "-i"])
        self.take_prompt()

    def path(self, place):
        return f"{self.directory.name}/{place}"

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.directory.cleanup()


def standard_files():
    return {"banyan": vmm_path(), "vmlinux": guest_file("kernel/vmlinux"), "vmlinuz": guest_file("kernel/vmlinuz"),
            "initramfs": guest_file("shell/initramfs")}


def shared_libraries(program):
    """What a dynamic program needs, by the paths under which its loader looks for it."""
    listing = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", listing)


def pack(extra):
    """The nested rig's initramfs: the small guest, and after it what the rig needs."""
    archive = Archive()
    version = Path(guest_file("kernel/version")).read_text().strip()
    for module in MODULES:
        archive.add(f"/rig/{Path(module).name}", guest_file(f"kernel/root/lib/modules/{version}/kernel/{module}"))
    for library in shared_libraries(vmm_path()):
        archive.add(library, library)
    for place, content in {**standard_files(), **extra}.items():
        archive.add(f"/rig/{place}", content)
    return Path(guest_file("shell/initramfs")).read_bytes() + archive.data()


def qemu_command(initrd, cpus, options):
    command = ["timeout", str(int(RIG_LIFE_SECONDS * SLOW)), QEMU, "-accel", "tcg", "-cpu", "EPYC,+svm,+npt"]
    command += ["-M", "q35", "-m", "1G", "-smp", str(cpus), "-nodefaults", "-display", "none", "-no-reboot"]
    # Without signal=off, Ctrl-C ends QEMU instead of reaching the guest.
    command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    command += ["-kernel", guest_file("kernel/vmlinuz"), "-initrd", initrd]
    return command + ["-append", APPEND, *options]


def has_hardware():
    """Would this machine's own /dev/kvm be chosen?"""
    found = subprocess.run([vmm_path(), "doctor", "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(found)["auto"].startswith("engine kvm")


def open_shell(extra=None, qemu_options=()):
    choice = os.environ.get("BANYAN_RIG", "direct" if has_hardware() else "nested")
    return Direct(extra) if choice == "direct" else Rig(extra, qemu_options)


class ShellTest(unittest.TestCase):
    """self.rig is one shell for all the tests of this process, with the files of all classes of tests. A guest that a failed
    test has left ends with its shell; the next test gets another."""

    shared = None

    @classmethod
    def extra_files(cls):
        return {}

    def setUp(self):
        if ShellTest.shared is None:
            extra = {}
            for tests in ShellTest.__subclasses__():
                extra.update(tests.extra_files())
            ShellTest.shared = open_shell(extra)
        self.rig = ShellTest.shared

    def tearDown(self):
        if self.rig.prompt != RIG_PROMPT:
            close_shell()


def close_shell():
    if ShellTest.shared is not None:
        ShellTest.shared.__exit__()
        ShellTest.shared = None


def why_not():
    """Why there is neither hardware nor a rig here, or None."""
    if shutil.which(QEMU) is not None or has_hardware():
        return None
    return (f"skipped: /dev/kvm has no hardware here, and without {QEMU} there is no nested rig; call "
            "scripts/install-packages.sh test")


def main():
    reason = why_not()
    if reason:
        print(reason)
        sys.exit(SKIPPED)
    try:
        unittest.main(verbosity=2)
    finally:
        close_shell()


__all__ = ["APPEND", "LINE", "PLAIN_APPEND", "PROMPT", "RIG_PROMPT", "SKIPPED", "Direct", "Rig", "ShellTest", "close_shell",
           "guests", "has_hardware", "kernel_complaints", "main", "open_shell", "report", "why_not"]
