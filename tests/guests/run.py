#!/usr/bin/env python3
"""Builds a bare guest and runs it: run.py [--vmm BANYAN | --qemu] [--engine NAME] [--out DIR] GUEST.asm...

Comments in a guest tell what it wants: `; run: --cpus 2` are further options, `; status: 3` is the exit status (1: the
guest's own word that all went well), `; qemu: WHY` says why QEMU cannot run it, `; cpus: 2 4` runs it with so many CPUs each, which
it knows as CPUS, `; floppy: 1440` puts a floppy disk of so many KiB into drive A: each byte is its sector's number, modulo
256.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent
EXIT_PORT = "0xf4"
PASSED = 1  # (0 << 1) | 1 by the debug exit port
LIMIT_SECONDS = 60 * float(os.environ.get("BANYAN_SLOW", "1"))


def notes(guest, word):
    return re.findall(rf"^; {word}: (.*)$", guest.read_text(), re.MULTILINE)


def build(guest, cpus, image):
    image.parent.mkdir(parents=True, exist_ok=True)
    item = image.with_name(f"{image.name}.o")
    subprocess.run(["nasm", "-f", "elf32", "-w+error", "-w-zext-reloc", f"-I{SOURCE}/", f"-DCPUS={cpus}", str(guest),
                    "-o", str(item)], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "--no-warn-rwx-segments", "-z", "noexecstack", "-T", str(SOURCE / "link.ld"),
                    "-o", str(image), str(item)], check=True)


def make_floppy(path, kib):
    path.write_bytes(b"".join(bytes([sector % 256]) * 512 for sector in range(2 * kib)))


def banyan_command(args, options, image, log):
    return [args.vmm, "run", "--engine", args.engine, "--kernel", str(image), "--memory", "64M", "--console", "none",
            "--no-reboot", "--debug-exit", EXIT_PORT, "--debugcon", str(log), *options]


def qemu_command(options, image, log):
    more = ["-smp", options[options.index("--cpus") + 1]] if "--cpus" in options else []
    if "--floppy" in options:
        more += ["-drive", f"if=floppy,format=raw,file={options[options.index('--floppy') + 1]}"]
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "64M", "-display", "none", "-no-reboot",
            "-kernel", str(image), "-device", f"isa-debug-exit,iobase={EXIT_PORT},iosize=4",
            "-debugcon", f"file:{log}", *more]


def run(args, guest):
    if args.qemu and notes(guest, "qemu"):
        print(f"{guest.stem}: not for QEMU: {notes(guest, 'qemu')[0]}")
        return True
    options = " ".join(notes(guest, "run")).split()
    counts = " ".join(notes(guest, "cpus")).split()
    if not counts:
        return run_image(args, guest, guest.stem, 1, options)
    return all([run_image(args, guest, f"{guest.stem}-{count}", count, [*options, "--cpus", count]) for count in counts])


def run_image(args, guest, name, cpus, options):
    image, log = args.out / name, args.out / f"{name}.log"
    build(guest, cpus, image)
    for kib in notes(guest, "floppy"):
        floppy = args.out / f"{name}.floppy"
        make_floppy(floppy, int(kib))
        options = [*options, "--floppy", str(floppy)]
    wanted = int((notes(guest, "status") or [PASSED])[0])
    log.unlink(missing_ok=True)
    command = qemu_command(options, image, log) if args.qemu else banyan_command(args, options, image, log)
    if args.qemu and wanted == 3:
        wanted = 0  # QEMU ends with 0 after a triple fault
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        status, said = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        status, said = f"none in {LIMIT_SECONDS:.0f} s", ""
    if status == wanted:
        print(f"{name}: passed")
        return True
    text = log.read_text(errors="replace") if log.exists() else ""
    print(f"{name}: FAILED: exit status {status}, expected {wanted}\n{text}{said}", end="")
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vmm", default=os.environ.get("BANYAN_VMM", "banyan"), help="the banyan program")
    parser.add_argument("--engine", default="interp")
    parser.add_argument("--qemu", action="store_true", help="run in QEMU (TCG) instead: a second opinion about the guests")
    parser.add_argument("--out", type=pathlib.Path, help="where images and logs go")
    parser.add_argument("guests", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        args.out = args.out or pathlib.Path(scratch)
        try:
            return 0 if all([run(args, guest) for guest in args.guests]) else 1
        except subprocess.CalledProcessError as error:
            return f"run.py: {error.cmd[0]} failed"


if __name__ == "__main__":
    sys.exit(main())
