"""What the tests of the store share: a store and a run directory of a test's own, tiny guests, and what is left over."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE.parent / "guests"))
sys.path.insert(0, str(SOURCE.parent / "boot"))
from harness import SLOW, vmm_path  # noqa: E402

OPTIONS = ("--memory", "16M", "--console", "none", "--debug-exit", "0xf4", "--net", "none", "--engine", "interp",
           "--rng", "off", "--balloon", "off")


def build_guest(image, *definitions):
    item = image.with_suffix(".o")
    subprocess.run(["nasm", "-f", "elf32", *definitions, str(SOURCE / "idle.asm"), "-o", str(item)], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-z", "noexecstack", "-T", str(SOURCE.parent / "guests/link.ld"),
                    "-o", str(image), str(item)], check=True)


class Rig:
    """Always to be used in a `with`, which ends what is left by its own process number."""

    def __init__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="banyan-store-")
        self.place = Path(self.scratch.name)
        for name in ("run", "data"):
            (self.place / name).mkdir(mode=0o700)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.place / "run"),
                            "XDG_DATA_HOME": str(self.place / "data")}
        self.run_directory = self.place / "run/banyan"
        self.store = self.place / "data/banyan/vms"
        self.idle = self.place / "idle"
        self.ends = self.place / "ends"
        build_guest(self.idle)
        build_guest(self.ends, "-DSTATUS=3")

    def __enter__(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.processes():
            self.kill(pid)
        self.scratch.cleanup()

    def popen(self, *arguments):
        return subprocess.Popen([vmm_path(), *map(str, arguments)], env=self.environment, cwd=self.place,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                errors="replace")

    def banyan(self, *arguments, seconds=60):
        """The exit status, and what was written to both streams."""
        with self.popen(*arguments) as process:
            try:
                out, err = process.communicate(timeout=seconds * SLOW)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return process.returncode, out, err

    def list(self, *flags):
        status, out, err = self.banyan("list", "--json", *flags)
        if status != 0:
            raise AssertionError(err)
        return json.loads(out)

    def processes(self):
        """Of the program, in this rig's directories: all that run, by their environments."""
        mark = f"XDG_RUNTIME_DIR={self.place}/run".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                # One that has ended and waits for its parent has no environment any more.
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                pass
        return found

    @staticmethod
    def kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def rows(self):
        """Of the store, which must be whole."""
        with sqlite3.connect(self.store / "store.db", timeout=60) as database:
            [(verdict,)] = database.execute("PRAGMA integrity_check").fetchall()
            if verdict != "ok":
                raise AssertionError(f"the store is damaged: {verdict}")
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM vms ORDER BY name")]

    def leftovers(self):
        """Files of nobody, when there are neither VMs nor commands."""
        return [str(file) for place, known in ((self.run_directory, ()), (self.store, ("store.db",)))
                if place.exists() for file in place.iterdir() if file.name not in known]


def await_that(condition, what, seconds=30):
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOW:.0f} s: {what}")
        time.sleep(0.02)
